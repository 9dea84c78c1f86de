namespace SmcDr.Core.Redis.Rdb;

/// <summary>Follows a compressed string piece by piece and says whether it could be decompressed, without doing so.</summary>
internal struct LzfScanner
{
    private State _state;
    private int _run;
    private int _control;
    private long _produced;
    private long _expected;

    private enum State
    {
        Control,
        Run,
        Length,
        Distance,
    }

    public void Start(long expected)
    {
        _state = State.Control;
        _produced = 0;
        _expected = expected;
    }

    /// <summary>Whether it can end here.</summary>
    public readonly bool IsComplete => _state == State.Control && _produced == _expected;

    /// <summary>Takes the next piece; false if it is damaged.</summary>
    public bool Scan(ReadOnlySpan<byte> piece)
    {
        int at = 0;
        while (at < piece.Length)
        {
            switch (_state)
            {
                case State.Control:
                    _control = piece[at++];
                    if (_control < 32)
                    {
                        _run = _control + 1;
                        _produced += _run;
                        _state = State.Run;
                    }
                    else
                    {
                        _produced += (_control >> 5) + 2;
                        _state = _control >> 5 == 7 ? State.Length : State.Distance;
                    }

                    break;
                case State.Run:
                    int taken = Math.Min(_run, piece.Length - at);
                    at += taken;
                    _run -= taken;
                    if (_run == 0)
                    {
                        _state = State.Control;
                    }

                    break;
                case State.Length:
                    _control = (_control & 0xFF) | (piece[at] << 8);
                    _produced += piece[at++];
                    _state = State.Distance;
                    break;
                default:
                    int distance = ((_control & 0x1F) << 8) + piece[at++] + 1;
                    int length = ((_control >> 5) & 7) + (_control >> 8) + 2;
                    if (distance > _produced - length)
                    {
                        return false;
                    }

                    _state = State.Control;
                    break;
            }

            if (_produced > _expected)
            {
                return false;
            }
        }

        return true;
    }
}
