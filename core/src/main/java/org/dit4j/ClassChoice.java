package org.dit4j;

/** What a picture is to show: a class by its label, a class as a person names it, or nothing in particular. */
public sealed interface ClassChoice {
    /** A class by its number, from 0. */
    record Label(int number) implements ClassChoice {
        /** @throws IllegalArgumentException if it is negative */
        public Label {
            if (number < 0) throw new IllegalArgumentException("label " + number + " is negative; the first is 0");
        }

        @Override
        public String toString() {
            return Integer.toString(number);
        }
    }

    /** A class as a person gives it: its name, a synonym, the beginning of one, or its number; {@link ClassNames#label} reads it. */
    record Named(String given) implements ClassChoice {
        @Override
        public String toString() {
            return given;
        }
    }

    /** No class: what an unconditional model draws, or one with classes under its null label. */
    record None() implements ClassChoice {
        @Override
        public String toString() {
            return "";
        }
    }

    /** A class by its number. */
    static ClassChoice of(int label) {
        return new Label(label);
    }

    /** A class as a person gives it; nothing where that is empty. */
    static ClassChoice of(String given) {
        return given.isEmpty() ? none() : new Named(given);
    }

    /** No class. */
    static ClassChoice none() {
        return new None();
    }
}
