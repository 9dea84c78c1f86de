namespace SmcDr.Core.Sites;

/// <summary>Rules of a part of the site file that concern several of its keys. Asked once each key for itself is right.</summary>
internal interface ISiteRules
{
    /// <summary>What is wrong: the key that should change, and the rest of a sentence that begins with its path.</summary>
    IEnumerable<(string Key, string Problem)> FindProblems();
}
