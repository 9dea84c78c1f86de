using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.InteropServices;

namespace SmcDr.Core.Repositories;

/// <summary>The system's libzstd, where there is one. Managed codecs reach a third to half of its speed.</summary>
internal static unsafe partial class Zstd
{
    private const string Library = "zstd";

    private static readonly string[] s_names = OperatingSystem.IsWindows()
        ? ["libzstd.dll", "zstd.dll"]
        : OperatingSystem.IsMacOS()
            ? ["libzstd.1.dylib", "/opt/homebrew/lib/libzstd.1.dylib", "/usr/local/lib/libzstd.1.dylib"]
            : ["libzstd.so.1"];

    private static readonly Lazy<nint> s_library = new(Load);

    // A context is several hundred kilobytes and knows one call at a time: one for each thread that compresses.
    [ThreadStatic]
    private static nint s_compressor;

    [ThreadStatic]
    private static nint s_decompressor;

    [ThreadStatic]
    [SuppressMessage("Performance", "CA1823", Justification = "Frees the contexts with their thread.")]
    private static ContextOwner? s_owner;

    static Zstd() => NativeLibrary.SetDllImportResolver(
        Assembly.GetExecutingAssembly(),
        static (name, _, _) => name == Library ? s_library.Value : 0);

    public static bool IsAvailable => s_library.Value != 0;

    public static void ThrowIfUnavailable()
    {
        if (!IsAvailable)
        {
            throw new SmcException(
                SmcErrorCode.ProgramNotFound,
                "The data is compressed with Zstandard, and no libzstd could be loaded here.",
                recommendation: "Install the system's libzstd (Debian and Ubuntu: libzstd1; macOS: zstd by Homebrew) and run the command again.");
        }
    }

    /// <summary>Returns the compressed length, or <see cref="int.MaxValue"/> where the destination is too small.</summary>
    public static int Compress(ReadOnlySpan<byte> source, Span<byte> destination, int level)
    {
        if (s_compressor == 0)
        {
            s_compressor = ZSTD_createCCtx();
            (s_owner ??= new ContextOwner()).Compressor = s_compressor;
        }

        fixed (byte* to = destination, from = source)
        {
            nuint result = ZSTD_compressCCtx(s_compressor, to, (nuint)destination.Length, from, (nuint)source.Length, level);
            return ZSTD_isError(result) != 0 ? int.MaxValue : (int)result;
        }
    }

    public static bool TryDecompress(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        nint context = Decompressor();
        fixed (byte* to = destination, from = source)
        {
            nuint result = ZSTD_decompressDCtx(context, to, (nuint)destination.Length, from, (nuint)source.Length);
            return ZSTD_isError(result) == 0 && result == (nuint)destination.Length;
        }
    }

    /// <summary>Decompresses the beginning, and stops in the compressed block of at most 128 KiB in which it ends.</summary>
    public static bool TryDecompressBeginning(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        nint context = Decompressor();

        // The one before may have been left in the middle.
        _ = ZSTD_initDStream(context);
        fixed (byte* to = destination, from = source)
        {
            ZstdBuffer output = new() { Start = to, Size = (nuint)destination.Length };
            ZstdBuffer input = new() { Start = from, Size = (nuint)source.Length };
            while (output.Position < output.Size)
            {
                (nuint written, nuint read) = (output.Position, input.Position);
                if (ZSTD_isError(ZSTD_decompressStream(context, &output, &input)) != 0 || (output.Position == written && input.Position == read))
                {
                    return false;
                }
            }

            return true;
        }
    }

    private static nint Decompressor()
    {
        if (s_decompressor == 0)
        {
            s_decompressor = ZSTD_createDCtx();
            (s_owner ??= new ContextOwner()).Decompressor = s_decompressor;
        }

        return s_decompressor;
    }

    private static nint Load()
    {
        foreach (string name in s_names)
        {
            if (NativeLibrary.TryLoad(name, out nint handle))
            {
                return handle;
            }
        }

        return 0;
    }

    [LibraryImport(Library)]
    internal static partial nint ZSTD_createDCtx();

    [LibraryImport(Library)]
    internal static partial nuint ZSTD_freeDCtx(nint context);

    [LibraryImport(Library)]
    private static partial nuint ZSTD_initDStream(nint context);

    [LibraryImport(Library)]
    internal static partial nuint ZSTD_decompressStream(nint context, ZstdBuffer* output, ZstdBuffer* input);

    [LibraryImport(Library)]
    internal static partial uint ZSTD_isError(nuint code);

    [LibraryImport(Library)]
    private static partial nint ZSTD_createCCtx();

    [LibraryImport(Library)]
    private static partial nuint ZSTD_freeCCtx(nint context);

    [LibraryImport(Library)]
    private static partial nuint ZSTD_compressCCtx(
        nint context, byte* destination, nuint capacity, byte* source, nuint length, int level);

    [LibraryImport(Library)]
    private static partial nuint ZSTD_decompressDCtx(
        nint context, byte* destination, nuint capacity, byte* source, nuint length);

    /// <summary><c>ZSTD_inBuffer</c> and <c>ZSTD_outBuffer</c>, which look the same.</summary>
    internal struct ZstdBuffer
    {
        public byte* Start;
        public nuint Size;
        public nuint Position;
    }

    private sealed class ContextOwner
    {
        public nint Compressor;
        public nint Decompressor;

        ~ContextOwner()
        {
            _ = ZSTD_freeCCtx(Compressor);
            _ = ZSTD_freeDCtx(Decompressor);
        }
    }
}
