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
    private static final String BY_NAME = "name:", BY_NUMBER = "id:";

    public ClassNames {
        names = List.copyOf(names);
    }

    /**
     * The label that a choice means.
     *
     * @return −1 for none
     * @throws IllegalArgumentException as {@link #label}
     */
    public int label(ClassChoice choice) {
        if (choice instanceof ClassChoice.Named named) return label(named.given());
        if (!(choice instanceof ClassChoice.Label label)) return -1;
        if (label.number() >= numClasses) throw outside(choice.toString());
        return label.number();
    }

    /**
     * The label of a class as a person gives it. Its exact name counts most; then a name or synonym in upper or lower case, then a number,
     * then the beginning of exactly one name. {@code name:2} and {@code id:2} say which is meant where a class is called by a number that is
     * another class's.
     *
     * @throws IllegalArgumentException if no class is meant, or several are
     */
    public int label(String given) {
        String wanted = given.trim();
        if (wanted.startsWith(BY_NUMBER)) return number(given, wanted.substring(BY_NUMBER.length()));
        if (wanted.startsWith(BY_NAME)) return named(given, wanted.substring(BY_NAME.length()));
        boolean isNumber = wanted.matches("\\d{1,9}");
        List<Integer> exact = exact(wanted);
        if (isNumber && exact.isEmpty()) return number(given, wanted);
        if (isNumber
                && exact.size() == 1
                && exact.get(0) != Integer.parseInt(wanted)
                && Integer.parseInt(wanted) < numClasses)
            throw new IllegalArgumentException("class \"" + given + "\" is the name of class number " + exact.get(0)
                    + ", and the number of class \"" + name(Integer.parseInt(wanted)) + "\"; say " + BY_NAME + wanted
                    + " or " + BY_NUMBER + wanted);
        return named(given, wanted);
    }

    private int number(String given, String digits) {
        if (!digits.matches("\\d{1,9}") || Integer.parseInt(digits) >= numClasses) throw outside(given);
        return Integer.parseInt(digits);
    }

    private IllegalArgumentException outside(String given) {
        return new IllegalArgumentException("class " + given + " is outside 0 … " + (numClasses - 1) + shown());
    }

    private int named(String given, String wanted) {
        List<Integer> exact = exact(wanted);
        if (exact.size() == 1) return exact.get(0);
        for (BiPredicate<String, String> fits :
                List.<BiPredicate<String, String>>of(String::equals, String::startsWith)) {
            List<Integer> labels = labels(wanted.toLowerCase(Locale.ROOT), fits);
            if (labels.size() == 1) return labels.get(0);
            if (labels.size() > 1)
                throw new IllegalArgumentException("class \"" + given + "\" may be any of "
                        + labels.stream().limit(SHOWN).map(names::get).toList()
                        + "; give more of its name, or its number");
        }
        throw new IllegalArgumentException("unknown class \"" + given + "\"" + shown());
    }

    /** Whether this is the whole name of a class, as it is written. */
    public boolean isName(String given) {
        return exact(given.trim()).size() == 1;
    }

    /** The classes of exactly this name, or, if there is none, with exactly this synonym. */
    private List<Integer> exact(String wanted) {
        List<Integer> whole = new ArrayList<>(), synonyms = new ArrayList<>();
        for (int label = 0; label < names.size(); label++) {
            if (names.get(label).trim().equals(wanted)) whole.add(label);
            else if (Arrays.stream(names.get(label).split(","))
                    .anyMatch(name -> name.trim().equals(wanted))) synonyms.add(label);
        }
        return whole.isEmpty() ? synonyms : whole;
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
