using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Notifications;

/// <summary>How the state of alerts is written.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(AlertHistoryFile))]
internal sealed partial class NotificationsJson : JsonSerializerContext;
