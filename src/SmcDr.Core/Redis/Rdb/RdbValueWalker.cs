using System.Buffers.Binary;
using System.Buffers.Text;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>
/// Walks one value after the other through a window that may end anywhere in it. Its state is a few counters: how deep, how many
/// repetitions are left, how many bytes to pass. Every step passes at least one byte, so that no stated number can make it endless.
/// </summary>
internal sealed class RdbValueWalker(RdbInput input, RdbReaderOptions options, Action<ulong> onModule)
{
    // Consumers within groups within a stream, and what each has not acknowledged.
    private const int MaximumDepth = 4;
    private readonly Frame[] _frames = new Frame[MaximumDepth];
    private byte[] _scratch = [];
    private int _depth;
    private ulong _skip;
    private bool _compressed;
    private LzfScanner _scanner;
    private long _elements;
    private bool _counted;

    /// <summary>Elements of the value, or null if not all of it was looked into or it has none that can be counted.</summary>
    public long? Elements => _counted ? _elements : null;

    /// <summary>How many packed structures were too long to be looked into, of all values.</summary>
    public long NotChecked { get; private set; }

    /// <summary>Begins a value.</summary>
    /// <param name="shape">What it is put together from.</param>
    /// <param name="elements">How many elements it has before any are seen: 1 for a string.</param>
    public void Start(RdbInstruction[] shape, int elements)
    {
        _depth = 0;
        _frames[0] = new Frame { Body = shape, Remaining = 1 };
        _elements = elements;
        _counted = true;
        _skip = 0;
    }

    /// <summary>Passes as much of the value as is there. Returns 0 at its end, else how many bytes must be available to go on.</summary>
    public int Walk()
    {
        while (true)
        {
            if (_skip > 0)
            {
                if (!SkipBytes())
                {
                    return 1;
                }

                continue;
            }

            ref Frame frame = ref _frames[_depth];
            if (frame.Index == frame.Body.Length)
            {
                frame.Index = 0;
                if (--frame.Remaining > 0)
                {
                    continue;
                }

                if (_depth == 0)
                {
                    return 0;
                }

                _depth--;
                continue;
            }

            ref readonly RdbInstruction instruction = ref frame.Body[frame.Index];
            int needed = Step(in instruction, ref frame);
            if (needed > 0)
            {
                return needed;
            }
        }
    }

    private int Step(in RdbInstruction instruction, ref Frame frame)
    {
        switch (instruction.Kind)
        {
            case RdbPart.String:
                return PassString(ref frame);
            case RdbPart.Number:
                return PassNumber(in instruction, ref frame);
            case RdbPart.Bytes8:
                return PassBytes(8, ref frame);
            case RdbPart.Bytes16:
                return PassBytes(16, ref frame);
            case RdbPart.Double:
                return PassDouble(ref frame);
            case RdbPart.TextDouble:
                return PassTextDouble(ref frame);
            case RdbPart.Repeat:
                return BeginRepeat(in instruction, ref frame);
            case RdbPart.Packed:
                return PassPacked(in instruction, ref frame, 0);
            case RdbPart.StreamId:
                return PassStreamId(ref frame);
            case RdbPart.ListNode:
                return PassListNode(in instruction, ref frame);
            case RdbPart.ModuleType:
                return PassModuleType(ref frame);
            default:
                return PassModulePart(ref frame);
        }
    }

    private bool SkipBytes()
    {
        ReadOnlySpan<byte> available = input.Available;
        int count = (int)Math.Min(_skip, (ulong)available.Length);
        if (_compressed && !_scanner.Scan(available[..count]))
        {
            throw Damaged("a compressed string cannot be decompressed");
        }

        input.Advance(count);
        _skip -= (ulong)count;
        if (_skip > 0)
        {
            return false;
        }

        if (_compressed && !_scanner.IsComplete)
        {
            throw Damaged("a compressed string does not have the length that it states");
        }

        return true;
    }

    private void BeginString(in RdbStringHeader header, int before)
    {
        input.Advance(before + header.HeaderLength);
        _skip = header.StoredLength;
        _compressed = header.IsCompressed;
        if (_compressed)
        {
            _scanner.Start((long)header.Length);
            if (_skip == 0 && header.Length != 0)
            {
                throw Damaged("a compressed string does not have the length that it states");
            }
        }
    }

    private int PassString(ref Frame frame)
    {
        ReadOnlySpan<byte> available = input.Available;
        // Most strings are short, whole in the window and as they are.
        if (available.Length > 0 && available[0] < 64 && available.Length > available[0])
        {
            input.Advance(1 + available[0]);
            frame.Index++;
            return 0;
        }

        int size = RdbStringHeader.Read(available, out RdbStringHeader header, out string? fault);
        if (size <= 0)
        {
            return Needed(size, fault);
        }

        BeginString(in header, 0);
        frame.Index++;
        return 0;
    }

    private int PassNumber(in RdbInstruction instruction, ref Frame frame)
    {
        int size = ReadNumber(input.Available, out ulong value);
        if (size < 0)
        {
            return -size;
        }

        if (instruction.IsElementCount)
        {
            _elements = value <= long.MaxValue ? (long)value : throw Damaged("a number of elements is out of range");
        }

        input.Advance(size);
        frame.Index++;
        return 0;
    }

    private int PassBytes(int count, ref Frame frame)
    {
        if (input.Available.Length < count)
        {
            return count;
        }

        input.Advance(count);
        frame.Index++;
        return 0;
    }

    private int PassDouble(ref Frame frame)
    {
        ReadOnlySpan<byte> available = input.Available;
        if (available.Length < 8)
        {
            return 8;
        }

        if (double.IsNaN(BinaryPrimitives.ReadDoubleLittleEndian(available)))
        {
            throw Damaged("a score is not a number");
        }

        input.Advance(8);
        frame.Index++;
        return 0;
    }

    private int PassTextDouble(ref Frame frame)
    {
        const byte Nan = 253;
        ReadOnlySpan<byte> available = input.Available;
        if (available.IsEmpty)
        {
            return 1;
        }

        int length = available[0];
        if (length < Nan)
        {
            if (available.Length < 1 + length)
            {
                return 1 + length;
            }

            ReadOnlySpan<byte> text = available.Slice(1, length);
            if (!Utf8Parser.TryParse(text, out double score, out int used) || used != length || double.IsNaN(score))
            {
                throw Damaged("a score is not a number");
            }

            input.Advance(length);
        }
        else if (length == Nan)
        {
            throw Damaged("a score is not a number");
        }

        input.Advance(1);
        frame.Index++;
        return 0;
    }

    private int BeginRepeat(in RdbInstruction instruction, ref Frame frame)
    {
        int size = ReadNumber(input.Available, out ulong count);
        if (size < 0)
        {
            return -size;
        }

        if (instruction.IsElementCount)
        {
            _elements = count <= long.MaxValue ? (long)count : throw Damaged("a number of elements is out of range");
        }

        input.Advance(size);
        frame.Index++;
        if (count > 0)
        {
            _depth++;
            _frames[_depth] = new Frame { Body = instruction.Body!, Remaining = count };
        }

        return 0;
    }

    private int PassStreamId(ref Frame frame)
    {
        const int Length = 17;
        ReadOnlySpan<byte> available = input.Available;
        if (available.IsEmpty)
        {
            return 1;
        }

        // Sixteen bytes are neither compressed nor short enough for a number.
        if (available[0] != 16)
        {
            throw Damaged("the id of a node of a stream does not have 16 bytes");
        }

        if (available.Length < Length)
        {
            return Length;
        }

        input.Advance(Length);
        frame.Index++;
        return 0;
    }

    private int PassListNode(in RdbInstruction instruction, ref Frame frame)
    {
        const ulong Plain = 1;
        const ulong Listpack = 2;
        ReadOnlySpan<byte> available = input.Available;
        int size = ReadNumber(available, out ulong container);
        if (size < 0)
        {
            return -size;
        }

        if (container == Listpack)
        {
            return PassPacked(in instruction, ref frame, size);
        }

        if (container != Plain)
        {
            throw Damaged("a node of a list has an unknown container");
        }

        int headerSize = RdbStringHeader.Read(available[size..], out RdbStringHeader header, out string? fault);
        if (headerSize <= 0)
        {
            return headerSize == 0 ? Needed(0, fault) : size - headerSize;
        }

        if (header.StoredLength == 0)
        {
            throw Damaged("a node of a list is empty");
        }

        BeginString(in header, size);
        _elements++;
        frame.Index++;
        return 0;
    }

    private int PassPacked(in RdbInstruction instruction, ref Frame frame, int before)
    {
        ReadOnlySpan<byte> available = input.Available;
        int size = RdbStringHeader.Read(available[before..], out RdbStringHeader header, out string? fault);
        if (size <= 0)
        {
            return size == 0 ? Needed(0, fault) : before - size;
        }

        if (header.IsNumber)
        {
            throw Damaged("a number is where a packed structure should be");
        }

        if (header.StoredLength > (ulong)options.MaximumPackedLength || header.Length > (ulong)options.MaximumPackedLength)
        {
            NotChecked++;
            _counted = false;
            BeginString(in header, before);
            frame.Index++;
            return 0;
        }

        int start = before + size;
        int stored = (int)header.StoredLength;
        if (available.Length < start + stored)
        {
            return start + stored;
        }

        ReadOnlySpan<byte> content = available.Slice(start, stored);
        if (header.IsCompressed)
        {
            int length = (int)header.Length;
            if (_scratch.Length < length)
            {
                _scratch = GC.AllocateUninitializedArray<byte>((int)Math.Max(length, Math.Min(2L * _scratch.Length, options.MaximumPackedLength)));
            }

            if (!Lzf.TryDecompress(content, _scratch.AsSpan(0, length)))
            {
                throw Damaged("a compressed packed structure cannot be decompressed");
            }

            content = _scratch.AsSpan(0, length);
        }

        if (Packed.Check(instruction.Format, content, out long count) is { } broken)
        {
            throw Damaged(broken);
        }

        if (count % instruction.ElementsPerItem != 0)
        {
            throw Damaged("a packed structure ends in the middle of a field");
        }

        if (instruction.Format != PackedFormat.StreamListpack)
        {
            _elements += count / instruction.ElementsPerItem;
        }

        input.Advance(start + stored);
        frame.Index++;
        return 0;
    }

    private int PassModuleType(ref Frame frame)
    {
        int size = ReadNumber(input.Available, out ulong id);
        if (size < 0)
        {
            return -size;
        }

        onModule(id);
        _counted = false;
        input.Advance(size);
        frame.Index++;
        return 0;
    }

    private int PassModulePart(ref Frame frame)
    {
        ReadOnlySpan<byte> available = input.Available;
        int size = ReadNumber(available, out ulong kind);
        if (size < 0)
        {
            return -size;
        }

        int contentSize;
        switch (kind)
        {
            case 0:
                frame.Index++;
                contentSize = 0;
                break;
            case 1:
            case 2:
                contentSize = ReadNumber(available[size..], out _);
                break;
            case 3:
                contentSize = available.Length - size < 4 ? -4 : 4;
                break;
            case 4:
                contentSize = available.Length - size < 8 ? -8 : 8;
                break;
            case 5:
                int headerSize = RdbStringHeader.Read(available[size..], out RdbStringHeader header, out string? fault);
                if (headerSize <= 0)
                {
                    return headerSize == 0 ? Needed(0, fault) : size - headerSize;
                }

                BeginString(in header, size);
                return 0;
            default:
                throw Damaged("a part of a module's value has an unknown kind");
        }

        if (contentSize < 0)
        {
            return size - contentSize;
        }

        input.Advance(size + contentSize);
        return 0;
    }

    private int ReadNumber(ReadOnlySpan<byte> source, out ulong value)
    {
        int size = RdbLength.Read(source, out value, out bool isSpecial);
        return size != 0 && !isSpecial ? size : throw Damaged("a number has an unknown form");
    }

    private int Needed(int size, string? fault) => size < 0 ? -size : throw Damaged(fault!);

    private SmcException Damaged(string fault) => RdbFault.Damaged(options.Name, input.Offset, fault);

    private struct Frame
    {
        public RdbInstruction[] Body;
        public int Index;
        public ulong Remaining;
    }
}
