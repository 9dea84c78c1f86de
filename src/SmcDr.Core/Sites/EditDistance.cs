namespace SmcDr.Core.Sites;

/// <summary>How many slips of the hand make one word another: letters added, left out, exchanged or swapped with their neighbour.</summary>
internal static class EditDistance
{
    /// <summary>The distance without regard to case (optimal string alignment).</summary>
    public static int Between(string left, string right)
    {
        // A word this long is no slip, and the table grows with the square.
        if (left.Length > 100 || right.Length > 100)
        {
            return int.MaxValue;
        }

        int[,] table = new int[left.Length + 1, right.Length + 1];
        for (int i = 0; i <= left.Length; i++)
        {
            table[i, 0] = i;
        }

        for (int j = 0; j <= right.Length; j++)
        {
            table[0, j] = j;
        }

        for (int i = 1; i <= left.Length; i++)
        {
            for (int j = 1; j <= right.Length; j++)
            {
                int exchange = Same(left[i - 1], right[j - 1]) ? 0 : 1;
                table[i, j] = Math.Min(Math.Min(table[i - 1, j] + 1, table[i, j - 1] + 1), table[i - 1, j - 1] + exchange);
                if (i > 1 && j > 1 && Same(left[i - 1], right[j - 2]) && Same(left[i - 2], right[j - 1]))
                {
                    table[i, j] = Math.Min(table[i, j], table[i - 2, j - 2] + 1);
                }
            }
        }

        return table[left.Length, right.Length];
    }

    private static bool Same(char left, char right) => char.ToLowerInvariant(left) == char.ToLowerInvariant(right);
}
