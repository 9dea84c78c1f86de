using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;

namespace SmcDr.Core.Tests.Notifications;

/// <summary>A web server or an SMTP server of one test: tests/tools/receivers.py.</summary>
internal sealed class Receiver : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Channel<string> _lines = Channel.CreateUnbounded<string>();

    private Receiver(Process process) => _process = process;

    public int Port { get; private set; }

    public string Url => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{Port}/services/hunter2/hook?key=hunter3");

    public static async Task<Receiver> StartAsync(params string[] arguments)
    {
        ProcessStartInfo info = new("python3") { RedirectStandardInput = true, RedirectStandardOutput = true };
        info.ArgumentList.Add(FindScript());
        foreach (string argument in arguments)
        {
            info.ArgumentList.Add(argument);
        }

        Receiver receiver = new(Process.Start(info)!);
        _ = receiver.PumpAsync();
        receiver.Port = (await receiver.NextAsync()).GetInt32();
        return receiver;
    }

    /// <summary>What was received next.</summary>
    public async Task<JsonElement> NextAsync()
    {
        using CancellationTokenSource patience = new(TimeSpan.FromMinutes(2));
        return JsonDocument.Parse(await _lines.Reader.ReadAsync(patience.Token)).RootElement;
    }

    /// <summary>All that was received and not taken, once it is gone.</summary>
    public async Task<IReadOnlyList<JsonElement>> EndAsync()
    {
        _process.StandardInput.Close();
        List<JsonElement> all = [];
        await foreach (string line in _lines.Reader.ReadAllAsync())
        {
            all.Add(JsonDocument.Parse(line).RootElement);
        }

        return all;
    }

    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private async Task PumpAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync() is { } line)
        {
            _lines.Writer.TryWrite(line);
        }

        _lines.Writer.Complete();
    }

    private static string FindScript([CallerFilePath] string path = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, "..", "..", "tools", "receivers.py"));
}
