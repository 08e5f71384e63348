package org.dit4j.report;

/** What this program calls itself. */
public final class Software {
    private Software() {}

    /** "dit4j" and the version in the jar's manifest. */
    public static String version() {
        String version = Software.class.getPackage().getImplementationVersion();
        return "dit4j " + (version == null ? "development build" : version);
    }
}
