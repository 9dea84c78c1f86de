using System.Security.Cryptography;
using System.Text;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Encryption;

/// <summary>Key files: one line, <c>SMCDR-KEY-1</c> and 32 random bytes in Base64.</summary>
public static class KeyFile
{
    private const string Label = "SMCDR-KEY-1";

    /// <summary>Makes sure that nothing is where a key file is to be made, before anybody is asked.</summary>
    /// <param name="path">Its path.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetNotEmpty"/>.</exception>
    public static void CheckFree(string path)
    {
        if (Path.Exists(path))
        {
            throw Exists(path, null);
        }
    }

    /// <summary>Makes a new key file, readable by this account only.</summary>
    /// <param name="path">Its full path. What is there already is never replaced.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetNotEmpty"/>, or <see cref="SmcErrorCode.TargetUnsuitable"/>.</exception>
    public static KeyFileInfo Create(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        byte[] key = RandomNumberGenerator.GetBytes(RepositoryKey.Length);
        byte[] text = Encoding.ASCII.GetBytes($"{Label} {Convert.ToBase64String(key)}\n");
        try
        {
            FileStreamOptions options = new() { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.None, BufferSize = 0 };
            if (!OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }

            using (FileStream file = new(path, options))
            {
                file.Write(text);
                file.Flush(flushToDisk: true);
            }

            // A key whose name is lost in a power cut, after a repository was encrypted with it, would be the end of that repository.
            Posix.SyncDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            using KeyFileSource source = new([.. key]);
            return new KeyFileInfo { Path = Path.GetFullPath(path), Fingerprint = source.Fingerprint };
        }
        catch (IOException exception) when (File.Exists(path))
        {
            throw Exists(path, exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable, $"The key file '{path}' cannot be written: {exception.Message}", exception, target: path);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
            CryptographicOperations.ZeroMemory(text);
        }
    }

    /// <summary>Whether a secret is a key file's text.</summary>
    public static bool IsOne(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.TrimStart().StartsWith("SMCDR-KEY-", StringComparison.Ordinal);
    }

    /// <summary>The 32 bytes of a key file's text.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.KeyInvalid"/>.</exception>
    internal static byte[] Parse(string text)
    {
        string[] parts = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        byte[] key = GC.AllocateUninitializedArray<byte>(RepositoryKey.Length, pinned: true);
        return parts.Length == 2 && parts[0] == Label && Convert.TryFromBase64String(parts[1], key, out int length) && length == key.Length
            ? key
            : throw new SmcException(
                SmcErrorCode.KeyInvalid, $"The key file is not one: it should be one line, {Label} and 32 bytes in Base64. It may be cut or of a newer version.");
    }

    private static SmcException Exists(string path, Exception? inner) => new(
        SmcErrorCode.TargetNotEmpty,
        $"'{path}' exists, and a key file is never written over anything.",
        inner,
        "Choose another path, or use the key that is there.",
        path);
}
