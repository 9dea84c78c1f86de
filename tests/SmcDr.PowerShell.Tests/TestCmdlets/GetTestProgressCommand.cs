using System.Management.Automation;
using SmcDr.Core.Operations;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.TestCmdlets;

/// <summary>Plays reports, each at its millisecond, to a reporter with a clock of its own; gives what would be shown.</summary>
[Cmdlet(VerbsCommon.Get, "TestProgress")]
public sealed class GetTestProgressCommand : PSCmdlet
{
    [Parameter(Mandatory = true)]
    public System.Collections.Hashtable[] Report { get; set; } = null!;

    protected override void ProcessRecord()
    {
        ManualTimeProvider clock = new();
        long start = clock.GetTimestamp();
        List<PSObject> shown = [];
        using ProgressReporter reporter = new(
            record =>
            {
                PSObject timed = new(record);
                timed.Properties.Add(new PSNoteProperty("At", (int)clock.GetElapsedTime(start).TotalMilliseconds));
                shown.Add(timed);
            },
            clock);
        foreach (System.Collections.Hashtable report in Report)
        {
            T? Field<T>(string name) => LanguagePrimitives.ConvertTo<T>(report[name]);
            clock.Advance(TimeSpan.FromMilliseconds(Field<int>("At")) - clock.GetElapsedTime(start));
            if (report.ContainsKey("Activity"))
            {
                reporter.Report(new OperationProgress(
                    Field<string>("Activity")!,
                    Field<string>("Status") ?? "",
                    Field<long>("Done"),
                    report.ContainsKey("Total") ? Field<long>("Total") : null,
                    report.ContainsKey("Unit") ? Field<ProgressUnit>("Unit") : ProgressUnit.Bytes)
                {
                    Parent = report.ContainsKey("Parent") ? Field<string>("Parent") : null,
                    IsCompleted = Field<bool>("Completed"),
                });
            }
        }

        WriteObject(shown, enumerateCollection: true);
    }
}
