package org.dit4j.web;

import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.dit4j.ClassNames;

/** Classes by what a person types of them: a number, a name, the beginnings of its words ("golden retr"), or letters in their order. */
final class ClassSearch {
    private ClassSearch() {}

    /** The labels that fit best, best first; for an empty text the first ones. */
    static List<Integer> search(ClassNames names, String typed, int most) {
        String wanted = typed.strip().toLowerCase(Locale.ROOT);
        return IntStream.range(0, names.numClasses())
                .mapToObj(label -> new int[] {label, rank(names.name(label).toLowerCase(Locale.ROOT), label, wanted)})
                .filter(found -> found[1] < Integer.MAX_VALUE)
                .sorted(Comparator.<int[]>comparingInt(found -> found[1]).thenComparingInt(found -> found[0]))
                .limit(most)
                .map(found -> found[0])
                .toList();
    }

    /** Smaller is nearer; {@link Integer#MAX_VALUE} does not fit. */
    private static int rank(String name, int label, String wanted) {
        if (wanted.isEmpty()) return 0;
        if (wanted.equals(Integer.toString(label))) return 0;
        int best = Integer.MAX_VALUE;
        for (String synonym : name.split(",")) {
            String one = synonym.strip();
            if (one.equals(wanted)) best = Math.min(best, 1);
            else if (one.startsWith(wanted)) best = Math.min(best, 2);
        }
        if (best < Integer.MAX_VALUE) return best;
        if (wordsBegin(name, wanted)) return 3;
        if (name.contains(wanted)) return 4;
        return wanted.length() >= 3 && lettersInOrder(name, wanted) ? 5 : Integer.MAX_VALUE;
    }

    private static boolean wordsBegin(String name, String wanted) {
        List<String> words = List.of(name.split("[^\\p{L}\\p{N}]+"));
        for (String part : wanted.split("\\s+"))
            if (words.stream().noneMatch(word -> word.startsWith(part))) return false;
        return true;
    }

    private static boolean lettersInOrder(String name, String wanted) {
        int at = 0;
        for (int i = 0; i < wanted.length(); i++, at++) {
            at = name.indexOf(wanted.charAt(i), at);
            if (at < 0) return false;
        }
        return true;
    }
}
