namespace SmcDr.Core.Reports;

/// <summary>The report's style sheet. It names no font, image or script outside the file.</summary>
internal static class ReportStyle
{
    public const string Css = """
        :root {
          color-scheme: light dark;
          --page: #f4f6f8; --paper: #ffffff; --ink: #17212b; --soft: #54616e; --faint: #8a96a3; --rule: #dde3e9; --grid: #eaeef2; --track: #f0f3f6;
          --good: #0b7a4b; --good-soft: #e2f4ea; --bad: #bd2130; --bad-soft: #fce8ea; --target: #0b7a4b;
          --commits: #2563a8; --lag: #b26a00; --server: #7d93a8; --redis: #b5484a; --backup: #2a8f9e; --check: #8a97a4;
          --phase0: #c3ccd6; --phase1: #3457a6; --phase2: #7c54b4; --phase3: #b8558d; --phase4: #2f9e77;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --page: #0e1318; --paper: #161d24; --ink: #e6ebf0; --soft: #a3b0bc; --faint: #74828f; --rule: #2b3641; --grid: #212a33; --track: #1d252d;
            --good: #4cc38a; --good-soft: #12301f; --bad: #ff7a85; --bad-soft: #3b171b; --target: #4cc38a;
            --commits: #6aa9f0; --lag: #e2a33d; --server: #6b8299; --redis: #e08082; --backup: #4fb6c5; --check: #75838f;
            --phase0: #4a5763; --phase1: #6d8fe0; --phase2: #a481dc; --phase3: #d884b3; --phase4: #58c29b;
          }
        }
        * { box-sizing: border-box; }
        body {
          margin: 0; padding: 40px 24px 56px; background: var(--page); color: var(--ink);
          font: 15px/1.5 "Inter", "Segoe UI Variable Text", "Segoe UI", system-ui, -apple-system, "Helvetica Neue", "DejaVu Sans", sans-serif;
          font-variant-numeric: tabular-nums; -webkit-font-smoothing: antialiased;
        }
        main { max-width: 1200px; margin: 0 auto; background: var(--paper); border: 1px solid var(--rule); border-radius: 14px; padding: 44px 40px 36px; }
        header { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: flex-start; gap: 20px 32px; padding-bottom: 28px; border-bottom: 1px solid var(--rule); }
        .eyebrow { margin: 0 0 6px; color: var(--soft); font-size: 13px; letter-spacing: .02em; }
        h1 { margin: 0; font-size: 30px; line-height: 1.2; font-weight: 650; letter-spacing: -.015em; }
        h2 { margin: 44px 0 4px; font-size: 18px; font-weight: 650; letter-spacing: -.005em; }
        p { margin: 0; }
        .lead { margin-top: 10px; max-width: 62ch; color: var(--soft); font-size: 16px; }
        .hint { color: var(--soft); font-size: 14px; max-width: 110ch; }
        tr.again td:first-child { color: transparent; user-select: none; }
        .verdict { display: inline-flex; align-items: center; gap: 10px; padding: 9px 18px 9px 13px; border-radius: 999px; font-size: 17px; font-weight: 650; white-space: nowrap; }
        .verdict svg { width: 22px; height: 22px; display: block; }
        .verdict.passed { background: var(--good-soft); color: var(--good); }
        .verdict.failed { background: var(--bad-soft); color: var(--bad); }
        .verdict path { fill: none; stroke: currentColor; stroke-width: 2.6; stroke-linecap: round; stroke-linejoin: round; }
        .figures { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr) minmax(0, 1.5fr); gap: 20px 44px; padding: 28px 0; border-bottom: 1px solid var(--rule); }
        .part { grid-column: 1 / -1; margin: 0; font-size: 15px; font-weight: 600; color: var(--soft); }
        .gauge { display: grid; grid-template-columns: 104px 1fr; gap: 18px; align-items: center; }
        .gauge svg { width: 104px; height: 64px; display: block; overflow: visible; }
        .gauge path { fill: none; stroke-width: 9; stroke-linecap: round; }
        .gauge .scale { stroke: var(--track); } .gauge .value { stroke: var(--good); } .gauge.over .value { stroke: var(--bad); }
        .gauge .percent { font-size: 14px; font-weight: 600; fill: var(--soft); }
        .gauge .name { color: var(--soft); font-size: 14px; }
        .big { font-size: 29px; line-height: 1.2; font-weight: 650; letter-spacing: -.02em; white-space: nowrap; }
        .counts { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: center; justify-content: space-between; border-left: 1px solid var(--rule); padding-left: 40px; }
        .counts .big { font-size: 24px; } .counts .zero { color: var(--good); } .counts .some { color: var(--bad); }
        .name { color: var(--soft); font-size: 14px; }
        .facts { display: flex; flex-wrap: wrap; gap: 8px 40px; margin: 0; padding: 18px 0 0; font-size: 14px; }
        .facts div { display: flex; gap: 8px; } .facts dt { color: var(--soft); } .facts dd { margin: 0; font-weight: 550; }
        figure { margin: 14px 0 0; overflow-x: auto; }
        figcaption { display: flex; flex-wrap: wrap; gap: 6px 22px; margin-top: 14px; color: var(--soft); font-size: 13px; }
        .key { display: inline-flex; align-items: center; gap: 8px; } .key i { width: 14px; height: 10px; border-radius: 2px; display: inline-block; }
        .timeline { display: block; width: 100%; min-width: 860px; height: auto; }
        .timeline text { font-size: 12px; fill: var(--soft); }
        .timeline .lane { font-size: 13px; font-weight: 600; fill: var(--ink); }
        .timeline .tick, .timeline .unit { fill: var(--faint); }
        .timeline .note { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
        .timeline .grid { stroke: var(--grid); } .timeline .axis { stroke: var(--faint); }
        .timeline .track { fill: var(--track); }
        .timeline polyline { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
        .timeline .commits { stroke: var(--commits); } .timeline .lag { stroke: var(--lag); } .timeline polyline.redis { stroke: var(--redis); }
        .timeline .area { stroke: none; opacity: .16; } .timeline .commits.area { fill: var(--commits); } .timeline .lag.area { fill: var(--lag); } .timeline .redis.area { fill: var(--redis); }
        .server { fill: var(--server); background: var(--server); } .bar.redis { fill: var(--redis); } .backup { fill: var(--backup); background: var(--backup); } .check { fill: var(--check); background: var(--check); }
        .phase0 { fill: var(--phase0); background: var(--phase0); } .phase1 { fill: var(--phase1); background: var(--phase1); } .phase2 { fill: var(--phase2); background: var(--phase2); }
        .phase3 { fill: var(--phase3); background: var(--phase3); } .phase4 { fill: var(--phase4); background: var(--phase4); }
        .timeline line.mark { stroke-width: 1.5; } .timeline text.mark { font-weight: 600; paint-order: stroke; stroke: var(--paper); stroke-width: 5px; stroke-linejoin: round; }
        .timeline line.disaster { stroke: var(--bad); } .timeline text.disaster { fill: var(--bad); }
        .timeline line.target { stroke: var(--target); stroke-dasharray: 5 4; } .timeline text.target { fill: var(--target); }
        .scroll { overflow-x: auto; }
        table { width: 100%; border-collapse: collapse; margin-top: 12px; font-size: 14px; }
        th { text-align: left; font-weight: 600; color: var(--soft); padding: 8px 28px 8px 0; border-bottom: 1px solid var(--rule); white-space: nowrap; }
        td { padding: 9px 28px 9px 0; border-bottom: 1px solid var(--grid); vertical-align: top; overflow-wrap: anywhere; }
        th:last-child, td:last-child { padding-right: 0; }
        .number { text-align: right; white-space: nowrap; } .nowrap { white-space: nowrap; } td.strong { font-weight: 600; }
        .outcome { font-weight: 600; white-space: nowrap; } .outcome.passed { color: var(--good); } .outcome.failed { color: var(--bad); }
        .long { color: var(--soft); min-width: 22ch; }
        dl.method { display: grid; grid-template-columns: max-content 1fr; gap: 8px 24px; margin: 12px 0 0; font-size: 14px; }
        dl.method dt { font-weight: 600; } dl.method dd { margin: 0; color: var(--soft); max-width: 92ch; }
        footer { margin-top: 40px; padding-top: 16px; border-top: 1px solid var(--rule); color: var(--faint); font-size: 13px; display: flex; flex-wrap: wrap; justify-content: space-between; gap: 4px 24px; }
        @media (max-width: 900px) {
          body { padding: 0; } main { padding: 28px 18px; border: 0; border-radius: 0; }
          .figures { grid-template-columns: 1fr; } .counts { border-left: 0; padding-left: 0; }
          dl.method { grid-template-columns: 1fr; gap: 2px; } dl.method dd { margin-bottom: 10px; }
        }
        @media print {
          :root { color-scheme: light; --page: #fff; }
          body { padding: 0; font-size: 11pt; } main { border: 0; padding: 0; max-width: none; }
          tr, figure, .figures, header { break-inside: avoid; } h2 { break-after: avoid; }
          * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
          .timeline { min-width: 0; }
        }
        """;
}
