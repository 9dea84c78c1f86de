using System.Buffers.Binary;
using System.Collections.Frozen;
using System.Globalization;
using System.Net;

namespace SmcDr.Core.Dns;

/// <summary>Questions to a DNS server and its answers (RFC 1035): the parts of the protocol that one question needs.</summary>
internal static class DnsMessage
{
    /// <summary>What an answer over UDP may have where no larger size was agreed on.</summary>
    public const int MaximumUdp = 512;

    private const int HeaderLength = 12;
    private const ushort ClassInternet = 1;
    private const ushort Cname = 5;
    private const ushort Soa = 6;

    private static readonly FrozenDictionary<string, ushort> s_types = new Dictionary<string, ushort>
    {
        ["A"] = 1, ["NS"] = 2, ["CNAME"] = Cname, ["SOA"] = Soa, ["PTR"] = 12, ["AAAA"] = 28,
    }.ToFrozenDictionary();

    private static readonly string[] s_codes = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

    /// <summary>Whether records of a type can be asked for, and their values read.</summary>
    public static bool CanAsk(string type) => s_types.ContainsKey(type);

    /// <summary>A question to a server that is to answer of its own: recursion is not desired, and no extension (EDNS) offered.</summary>
    public static byte[] WriteQuestion(ushort id, DnsName name, string type)
    {
        using MemoryStream stream = new();
        Span<byte> header = stackalloc byte[HeaderLength];
        header.Clear();
        BinaryPrimitives.WriteUInt16BigEndian(header, id);
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], 1);
        stream.Write(header);
        name.WriteTo(stream);
        Span<byte> rest = stackalloc byte[4];
        BinaryPrimitives.WriteUInt16BigEndian(rest, s_types[type]);
        BinaryPrimitives.WriteUInt16BigEndian(rest[2..], ClassInternet);
        stream.Write(rest);
        return stream.ToArray();
    }

    /// <summary>Whether a message answers a question: it is an answer, has its id, and repeats the question. Anybody can send to a UDP port.</summary>
    public static bool IsAnswerTo(ReadOnlySpan<byte> message, ushort id, DnsName name, string type)
    {
        if (message.Length < HeaderLength || BinaryPrimitives.ReadUInt16BigEndian(message) != id || (message[2] & 0xF8) != 0x80
            || BinaryPrimitives.ReadUInt16BigEndian(message[4..]) != 1)
        {
            return false;
        }

        try
        {
            int position = HeaderLength;
            return ReadName(message, ref position) == name
                && ReadUInt16(message, ref position) == s_types[type]
                && ReadUInt16(message, ref position) == ClassInternet;
        }
        catch (InvalidDataException)
        {
            return false;
        }
    }

    /// <summary>Reads an answer for which <see cref="IsAnswerTo"/> holds.</summary>
    /// <exception cref="InvalidDataException">It is malformed.</exception>
    public static DnsAnswer Read(ReadOnlySpan<byte> message, string type)
    {
        int position = HeaderLength;
        DnsName asked = ReadName(message, ref position);
        position += 4;
        int answers = BinaryPrimitives.ReadUInt16BigEndian(message[6..]);
        int authorities = BinaryPrimitives.ReadUInt16BigEndian(message[8..]);
        int code = message[3] & 0x0F;
        bool isTruncated = (message[2] & 0x02) != 0;
        List<string> values = [];
        string? alias = null;
        int? ttl = null;
        int? negativeTtl = null;
        // What was cut off is asked for again over TCP, so half a record is no fault here.
        for (int i = 0; i < answers + authorities && !isTruncated; i++)
        {
            DnsName owner = ReadName(message, ref position);
            ushort recordType = ReadUInt16(message, ref position);
            ushort recordClass = ReadUInt16(message, ref position);
            int recordTtl = (int)Math.Min(ReadUInt32(message, ref position), int.MaxValue);
            int length = ReadUInt16(message, ref position);
            int end = position + length;
            if (end > message.Length)
            {
                throw new InvalidDataException("a record ends behind the message's end");
            }

            if (recordClass == ClassInternet && i < answers && owner == asked && (recordType == s_types[type] || recordType == Cname))
            {
                string value = ReadValue(message[..end], position, recordType);
                alias = recordType == s_types[type] ? alias : value;
                if (recordType == s_types[type])
                {
                    values.Add(value);
                }

                ttl = Math.Min(ttl ?? int.MaxValue, recordTtl);
            }
            else if (recordClass == ClassInternet && i >= answers && recordType == Soa)
            {
                // For so long "there is none" is kept: RFC 2308, 5.
                string[] fields = ReadValue(message[..end], position, Soa).Split(' ');
                negativeTtl = Math.Min(recordTtl, int.Parse(fields[^1], CultureInfo.InvariantCulture));
            }

            position = end;
        }

        return new DnsAnswer
        {
            Code = code < s_codes.Length ? s_codes[code] : string.Create(CultureInfo.InvariantCulture, $"RCODE {code}"),
            IsAuthoritative = (message[2] & 0x04) != 0,
            IsTruncated = isTruncated,
            Values = values,
            Alias = alias,
            Ttl = ttl,
            NegativeTtl = negativeTtl,
        };
    }

    private static string ReadValue(ReadOnlySpan<byte> message, int position, ushort type)
    {
        switch (type)
        {
            case 1 or 28:
                return message.Length - position == (type == 1 ? 4 : 16)
                    ? new IPAddress(message[position..]).ToString()
                    : throw new InvalidDataException("an address has the wrong length");
            case Soa:
                string server = ReadName(message, ref position).Text;
                string person = ReadName(message, ref position).Text;
                uint[] numbers = new uint[5];
                for (int i = 0; i < numbers.Length; i++)
                {
                    numbers[i] = Math.Min(ReadUInt32(message, ref position), int.MaxValue);
                }

                return $"{server} {person} {string.Join(' ', numbers.Select(static number => number.ToString(CultureInfo.InvariantCulture)))}";
            default:
                return ReadName(message, ref position).Text;
        }
    }

    private static DnsName ReadName(ReadOnlySpan<byte> message, ref int position)
    {
        List<byte[]> labels = [];
        int at = position;
        bool hasJumped = false;
        int limit = message.Length;
        while (true)
        {
            int length = at < message.Length ? message[at] : throw new InvalidDataException("a name ends behind the message's end");
            if ((length & 0xC0) == 0xC0)
            {
                int target = at + 1 < message.Length ? ((length & 0x3F) << 8) | message[at + 1] : throw new InvalidDataException("a pointer is cut off");
                if (!hasJumped)
                {
                    position = at + 2;
                    hasJumped = true;
                }

                // Each pointer must lead further back than the one before, so that there is an end.
                limit = target < Math.Min(at, limit) ? target : throw new InvalidDataException("a name points forward, or at itself");
                at = target;
            }
            else if (length > 63)
            {
                throw new InvalidDataException("a label is of an unknown kind");
            }
            else if (length == 0)
            {
                if (!hasJumped)
                {
                    position = at + 1;
                }

                return DnsName.TryCreate(labels, out DnsName? name) ? name : throw new InvalidDataException("a name is too long");
            }
            else if (at + 1 + length > message.Length)
            {
                throw new InvalidDataException("a label ends behind the message's end");
            }
            else
            {
                labels.Add(message.Slice(at + 1, length).ToArray());
                at += 1 + length;
            }
        }
    }

    private static ushort ReadUInt16(ReadOnlySpan<byte> message, ref int position)
    {
        ushort value = position + 2 <= message.Length
            ? BinaryPrimitives.ReadUInt16BigEndian(message[position..])
            : throw new InvalidDataException("a number is cut off");
        position += 2;
        return value;
    }

    private static uint ReadUInt32(ReadOnlySpan<byte> message, ref int position)
    {
        uint value = position + 4 <= message.Length
            ? BinaryPrimitives.ReadUInt32BigEndian(message[position..])
            : throw new InvalidDataException("a number is cut off");
        position += 4;
        return value;
    }
}
