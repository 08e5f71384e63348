package org.dit4j.doctor;

/**
 * What one check found.
 *
 * @param name of the check, one word or two
 * @param status whether dit works in spite of it
 * @param area what is to blame, if anything is
 * @param text the facts, one line; of data a line for each problem
 * @param cure what to do about it, one line; empty if all is well
 */
public record Finding(String name, Status status, Area area, String text, String cure) {
    /** How bad it is. */
    public enum Status {
        /** As it should be. */
        OK,
        /** It works, but not as well as it could. */
        WARN,
        /** It does not work. */
        FAIL
    }

    /** What a failure is of. */
    public enum Area {
        MACHINE,
        SETTINGS,
        MEMORY,
        DISK,
        DATA
    }

    public Finding {
        if (cure.isEmpty() != (status == Status.OK))
            throw new IllegalArgumentException(
                    name + " is " + status + " with the cure \"" + cure + "\"; all but OK have one");
    }

    static Finding ok(String name, Area area, String text) {
        return new Finding(name, Status.OK, area, text, "");
    }

    static Finding warn(String name, Area area, String text, String cure) {
        return new Finding(name, Status.WARN, area, text, cure);
    }

    /** Also for checks of who knows more than this package, for example how to open data. */
    public static Finding fail(String name, Area area, String text, String cure) {
        return new Finding(name, Status.FAIL, area, text, cure);
    }

    /** The facts and their cure as people read them. */
    public String toLines() {
        String facts = String.format("%-4s  %-10s  %s", status, name, text);
        return cure.isEmpty() ? facts : facts + System.lineSeparator() + " ".repeat(18) + "→ " + cure;
    }
}
