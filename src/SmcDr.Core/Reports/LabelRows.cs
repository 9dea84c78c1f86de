namespace SmcDr.Core.Reports;

/// <summary>Puts labels near their anchors in as few rows as it takes for none to touch another.</summary>
internal static class LabelRows
{
    private const double Gap = 12;

    // The widest of the fonts that a browser may fall back to, at 12 pixels.
    private const double CharacterWidth = 7.7;

    /// <summary>How wide a text may become.</summary>
    public static double WidthOf(string text) => text.Length * CharacterWidth;

    /// <summary>Places labels, each given by the position that its left edge should have, and the room it needs.</summary>
    public static (double X, int Row)[] Place(IReadOnlyList<(double X, double Width)> wanted, double left, double right)
    {
        (double X, int Row)[] result = new (double, int)[wanted.Count];
        List<double> ends = [];
        foreach (int i in Enumerable.Range(0, wanted.Count).OrderBy(i => wanted[i].X))
        {
            double x = Math.Max(left, Math.Min(wanted[i].X, right - wanted[i].Width));
            int row = ends.FindIndex(end => end + Gap <= x);
            if (row < 0)
            {
                row = ends.Count;
                ends.Add(0);
            }

            ends[row] = x + wanted[i].Width;
            result[i] = (x, row);
        }

        return result;
    }
}
