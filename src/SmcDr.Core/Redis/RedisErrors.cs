using System.Text;

namespace SmcDr.Core.Redis;

/// <summary>Turns what a server answers with into the error that says what to do about it.</summary>
internal static class RedisErrors
{
    private const int MaximumText = 400;

    /// <summary>The code with which an error begins, such as <c>NOPERM</c>.</summary>
    public static string CodeOf(RedisReply error) => error.Text.Split(' ', 2)[0];

    /// <summary>Whether the user may not touch a key, although it may run the command.</summary>
    public static bool IsKeyDenied(RedisReply reply) =>
        reply.IsError && CodeOf(reply) == "NOPERM" && reply.Text.Contains("access", StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether the server does not know the command, or not in this form.</summary>
    public static bool IsUnknown(RedisReply reply) =>
        reply.IsError && reply.Text.StartsWith("ERR unknown", StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// Whether the server has not understood what was sent, such as an argument that is longer than it takes. It closes the connection behind this answer, and
    /// where that is quick, nobody reads it.
    /// </summary>
    public static bool IsProtocolError(RedisReply reply) =>
        reply.IsError && reply.Text.StartsWith("ERR Protocol error", StringComparison.OrdinalIgnoreCase);

    /// <summary>The error for an answer.</summary>
    /// <param name="error">The answer.</param>
    /// <param name="display">The server, for messages.</param>
    /// <param name="user">The user, for messages.</param>
    /// <param name="command">The command that was answered.</param>
    public static SmcException Translate(RedisReply error, string display, string user, string command)
    {
        string text = Clean(error.Text);
        SmcException Failure(SmcErrorCode code, string message, string recommendation) =>
            new(code, message, recommendation: recommendation, target: display);

        switch (CodeOf(error))
        {
            case "NOAUTH":
                return Failure(
                    SmcErrorCode.AuthenticationFailed,
                    $"Redis at {display} asks for a password and none was given.",
                    "Give the password by a secret reference, such as password: env:REDIS_PASSWORD.");
            case "WRONGPASS":
                return Failure(
                    SmcErrorCode.AuthenticationFailed,
                    $"Redis at {display} refuses {user} or the password.",
                    "Check the user and the password's secret reference; ACL LIST on the server shows its users and which are on.");
            case "NOPERM":
                return Failure(
                    SmcErrorCode.PrivilegeMissing,
                    $"{Capital(user)} on Redis at {display} may not run {command}: {text}.",
                    $"Run on the server: ACL SETUSER <user> +{command.ToLowerInvariant().Replace(' ', '|')}, and ACL SAVE where it has an ACL file.");
            case "DENIED":
                return Failure(
                    SmcErrorCode.SettingUnsuitable,
                    $"Redis at {display} is in protected mode and takes connections from its own host only.",
                    "Set a password on the server and bind it to the interface that is meant, or run SmcDr on its host.");
            case "LOADING":
                return Failure(
                    SmcErrorCode.ServerUnavailable,
                    $"Redis at {display} is still loading its data.",
                    "Wait until INFO persistence says loading:0, then run the command again.");
            case "BUSY":
                return Failure(
                    SmcErrorCode.ServerUnavailable,
                    $"Redis at {display} is busy with a script and answers nothing else.",
                    "Wait for the script, or end it with SCRIPT KILL (FUNCTION KILL for a function), then run the command again.");
            case "NOMASTERLINK":
                return Failure(
                    SmcErrorCode.ServerUnavailable,
                    $"Redis at {display} is a replica that has lost its master, and hands on nothing meanwhile.",
                    "Back up the master, or repair the replica's link (INFO replication: master_link_status).");
            case "MASTERDOWN":
                return Failure(
                    SmcErrorCode.ServerUnavailable,
                    $"Redis at {display} is a replica that has lost its master, and answers nothing that could be stale.",
                    "Use the master, or repair the replica's link (INFO replication: master_link_status).");
            case "MISCONF":
                return Failure(
                    SmcErrorCode.SettingUnsuitable,
                    $"Redis at {display} takes no writes because it could not save to its disk.",
                    "Read the server's log for why it could not save (disk full, no right to write, no memory for a fork), correct that and run BGSAVE.");
            case "READONLY":
                return Failure(
                    SmcErrorCode.TargetIsReplica,
                    $"Redis at {display} is a replica and takes no writes.",
                    "Use the master; INFO replication on the replica names it.");
            case "MOVED":
            case "ASK":
            case "CROSSSLOT":
            case "CLUSTERDOWN":
            case "TRYAGAIN":
                return Failure(
                    SmcErrorCode.SettingUnsuitable,
                    $"Redis at {display} is part of a cluster and not the one to ask: {text}.",
                    "Use the node that has the slot; CLUSTER SHARDS (before Redis 7 CLUSTER SLOTS) lists the nodes.");
            case "NOREPLICAS":
                return Failure(
                    SmcErrorCode.SettingUnsuitable,
                    $"Redis at {display} takes no writes because too few replicas are in step with it.",
                    "Repair the replicas (INFO replication), or lower min-replicas-to-write on the server for as long as this takes.");
            case "OOM":
                return Failure(
                    SmcErrorCode.TargetMemoryInsufficient,
                    $"Redis at {display} has no memory left for {command}: its maxmemory is reached.",
                    "Raise maxmemory on the server (CONFIG SET maxmemory), or choose a larger server.");
            case "BUSYKEY":
                return Failure(
                    SmcErrorCode.TargetNotEmpty,
                    $"Redis at {display} has a key of that name already.",
                    "Replace the keys that are there, or choose an empty server.");
        }

        if (IsUnknown(error))
        {
            return Failure(
                SmcErrorCode.SettingUnsuitable,
                $"Redis at {display} does not know the command {command}.",
                $"Where the server's rename-command gave {command} another name, name it in the settings; some managed services do not offer it at all.");
        }

        if (text.Contains("max number of clients", StringComparison.OrdinalIgnoreCase))
        {
            return Failure(
                SmcErrorCode.ServerUnavailable,
                $"Redis at {display} has as many clients as it takes.",
                "Raise maxclients on the server, or find the clients that are too many with CLIENT LIST.");
        }

        if (text.StartsWith("ERR AUTH", StringComparison.Ordinal) || text.StartsWith("ERR Client sent AUTH", StringComparison.Ordinal))
        {
            return Failure(
                SmcErrorCode.AuthenticationFailed,
                $"Redis at {display} has no password for {user}, and one was given.",
                "Remove the password from the settings, or set it on the server; a server that anybody may use is seldom meant.");
        }

        return Failure(
            SmcErrorCode.SettingUnsuitable,
            $"Redis at {display} refused {command}: {text}.",
            "Read the server's message; where it names a setting, correct that and run the command again.");
    }

    /// <summary>
    /// What may be shown of an answer. A server that does not know a command repeats its arguments, a password among them ("unknown command
    /// 'AUTH', with args beginning with: …", server.c).
    /// </summary>
    public static string Clean(string text)
    {
        int arguments = text.IndexOf(", with args beginning with", StringComparison.OrdinalIgnoreCase);
        if (arguments >= 0)
        {
            text = text[..arguments];
        }

        StringBuilder clean = new(Math.Min(text.Length, MaximumText));
        foreach (char c in text)
        {
            if (clean.Length == MaximumText)
            {
                break;
            }

            clean.Append(char.IsControl(c) ? ' ' : c);
        }

        return clean.ToString().TrimEnd(' ', '.');
    }

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];
}
