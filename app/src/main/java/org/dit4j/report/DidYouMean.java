package org.dit4j.report;

import java.util.Collection;
import java.util.Comparator;
import java.util.Locale;
import java.util.Optional;

/** The known name that a mistyped one was probably meant to be. */
public final class DidYouMean {
    private DidYouMean() {}

    /** {@code "; did you mean X?"}, or nothing where no name is near. */
    public static String hint(String given, Collection<String> known) {
        return nearest(given, known).map(name -> "; did you mean " + name + "?").orElse("");
    }

    /**
     * The name but for its dashes; else the first whose last words were given ({@code --batch-size} of {@code --global-batch-size}); else the
     * nearest by edits, if at most a third of its letters differ. Case does not count.
     */
    public static Optional<String> nearest(String given, Collection<String> known) {
        String lower = given.toLowerCase(Locale.ROOT);
        String lastWords = lower.replace('_', '-').replaceFirst("^-*", "-");
        Optional<String> longer = known.stream()
                .filter(name -> lastWords.length() > 1
                        && name.toLowerCase(Locale.ROOT)
                                .replaceFirst("^-*", "-")
                                .endsWith(lastWords))
                .min(Comparator.comparing(name -> !name.replaceFirst("^-*", "-").equalsIgnoreCase(lastWords)));
        if (longer.isPresent()) return longer;
        return known.stream()
                .filter(name -> distance(lower, name.toLowerCase(Locale.ROOT))
                        <= Math.max(1, Math.max(lower.length(), name.length()) / 3))
                .min(Comparator.comparingInt(name -> distance(lower, name.toLowerCase(Locale.ROOT))));
    }

    /** Fewest insertions, deletions, replacements and swaps of neighbours (Damerau) that make {@code a} into {@code b}. */
    static int distance(String a, String b) {
        int[][] edits = new int[a.length() + 1][b.length() + 1];
        for (int i = 0; i <= a.length(); i++) {
            for (int j = 0; j <= b.length(); j++) {
                if (i == 0 || j == 0) {
                    edits[i][j] = i + j;
                    continue;
                }
                int replace = a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1;
                edits[i][j] = Math.min(edits[i - 1][j - 1] + replace, 1 + Math.min(edits[i - 1][j], edits[i][j - 1]));
                boolean swapped =
                        i > 1 && j > 1 && a.charAt(i - 1) == b.charAt(j - 2) && a.charAt(i - 2) == b.charAt(j - 1);
                if (swapped) edits[i][j] = Math.min(edits[i][j], edits[i - 2][j - 2] + 1);
            }
        }
        return edits[a.length()][b.length()];
    }
}
