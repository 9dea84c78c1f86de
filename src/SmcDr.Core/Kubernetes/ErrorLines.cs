using System.Text;

namespace SmcDr.Core.Kubernetes;

/// <summary>What a command writes to its errors: told line by line, and the end of it kept.</summary>
internal sealed class ErrorLines(Action<string>? onLine)
{
    private const int Kept = 16 << 10;
    private readonly Lock _lock = new();
    private readonly StringBuilder _text = new();
    private readonly StringBuilder _line = new();
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();

    public string Text
    {
        get
        {
            lock (_lock)
            {
                return _text.ToString();
            }
        }
    }

    public void Add(ReadOnlySpan<byte> data)
    {
        char[] chars = new char[Encoding.UTF8.GetMaxCharCount(data.Length)];
        int count = _decoder.GetChars(data, chars, flush: false);
        ReadOnlySpan<char> text = chars.AsSpan(0, count);
        lock (_lock)
        {
            _text.Append(text);
            if (_text.Length > Kept * 2)
            {
                _text.Remove(0, _text.Length - Kept);
            }
        }

        if (onLine is null)
        {
            return;
        }

        foreach (char c in text)
        {
            if (c == '\n')
            {
                Complete();
            }
            else if (_line.Length < Kept)
            {
                _line.Append(c);
            }
        }
    }

    public void Complete()
    {
        if (_line.Length > 0)
        {
            string line = _line.ToString().TrimEnd('\r');
            _line.Clear();
            onLine?.Invoke(line);
        }
    }
}
