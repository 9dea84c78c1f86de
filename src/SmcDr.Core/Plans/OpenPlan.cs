using System.Text.Json;

namespace SmcDr.Core.Plans;

/// <summary>A plan that was not finished.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Operation">The command that began it.</param>
/// <param name="Title">What it does.</param>
/// <param name="Intent">From what its steps are built again.</param>
/// <param name="State">How far it is, as a sentence.</param>
/// <param name="Acted">The keys of the steps that have done something, which is not taken back.</param>
public sealed record OpenPlan(string Id, string Operation, string Title, JsonElement? Intent, string State, IReadOnlySet<string> Acted);
