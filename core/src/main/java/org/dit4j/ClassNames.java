package org.dit4j;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.BiPredicate;

/**
 * The names of a model's classes, and the label that a person means by one.
 *
 * @param names by label; a name may hold synonyms, separated by commas ("tench, Tinca tinca"). Empty where the model has numbers only
 * @param numClasses how many labels there are
 */
public record ClassNames(List<String> names, int numClasses) {
    private static final int SHOWN = 12;

    public ClassNames {
        names = List.copyOf(names);
    }

    /**
     * The label of a class given by number, by name or synonym, or by the beginning of exactly one, in upper or lower case.
     *
     * @throws IllegalArgumentException if no class is meant, or several are
     */
    public int label(String given) {
        String wanted = given.trim().toLowerCase(Locale.ROOT);
        if (wanted.matches("\\d{1,9}")) {
            int label = Integer.parseInt(wanted);
            if (label < numClasses) return label;
            throw new IllegalArgumentException("class " + given + " is outside 0 … " + (numClasses - 1) + shown());
        }
        for (BiPredicate<String, String> fits :
                List.<BiPredicate<String, String>>of(String::equals, String::startsWith)) {
            List<Integer> labels = labels(wanted, fits);
            if (labels.size() == 1) return labels.get(0);
            if (labels.size() > 1)
                throw new IllegalArgumentException("class \"" + given + "\" may be any of "
                        + labels.stream().limit(SHOWN).map(names::get).toList()
                        + "; give more of its name, or its number");
        }
        throw new IllegalArgumentException("unknown class \"" + given + "\"" + shown());
    }

    private List<Integer> labels(String wanted, BiPredicate<String, String> fits) {
        List<Integer> labels = new ArrayList<>();
        if (wanted.isEmpty()) return labels;
        for (int label = 0; label < names.size(); label++)
            if (Arrays.stream(names.get(label).toLowerCase(Locale.ROOT).split(","))
                    .anyMatch(name -> fits.test(name.trim(), wanted))) labels.add(label);
        return labels;
    }

    /** The name of a label, the number where it has none. */
    public String name(int label) {
        return label < names.size() ? names.get(label) : Integer.toString(label);
    }

    private String shown() {
        if (numClasses == 0) return "; this model has no classes";
        if (names.isEmpty()) return "; this model knows its classes by number, 0 … " + (numClasses - 1);
        String rest = names.size() > SHOWN ? " and " + (names.size() - SHOWN) + " more" : "";
        return "; known are " + names.subList(0, Math.min(SHOWN, names.size())) + rest;
    }
}
