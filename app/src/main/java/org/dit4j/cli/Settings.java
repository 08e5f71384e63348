package org.dit4j.cli;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.dit4j.report.DidYouMean;
import org.dit4j.report.Recipe;
import picocli.CommandLine;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.TypeConversionException;

/**
 * The resolved configuration of one command: its flags over its recipe over its defaults, and where each value is from. The flags that picocli
 * knows are the one table of names, types and defaults; a recipe is read by the same table.
 */
final class Settings {
    /** Flags that say how to run the command, or what to show afterwards, not what it does. */
    private static final Set<String> NOT_IN_RECIPES =
            Set.of("config", "help", "version", "debug", "dry-run", "json", "rows");

    private static final String DEFAULT = "default", FLAG = "flag";

    /** A value as the flag takes it, and {@code default}, {@code flag} or {@code file:line:column}. */
    record Setting(Object value, String origin) {}

    private final Map<String, Setting> settings = new LinkedHashMap<>();

    private Settings() {}

    /**
     * Sets the fields of a parsed command that the recipe names and no flag did.
     *
     * @param recipe {@link Recipe#NONE} where there is none
     * @throws Failure with file, line and column for a key that is no flag or a value that the flag would refuse
     */
    static Settings resolve(CommandSpec command, Recipe recipe) {
        Settings settings = new Settings();
        Map<String, String> origins = apply(recipe, command);
        for (OptionSpec option : options(command)) {
            boolean given = command.commandLine().getParseResult().hasMatchedOption(option);
            String origin = given ? FLAG : origins.getOrDefault(key(option), DEFAULT);
            settings.settings.put(key(option), new Setting(shown(option), origin));
        }
        return settings;
    }

    private static Map<String, String> apply(Recipe recipe, CommandSpec command) {
        Map<String, String> origins = new LinkedHashMap<>();
        recipe.entries().forEach((key, entry) -> {
            OptionSpec option = find(key, command, entry);
            String former = origins.put(key(option), entry.key().toString());
            if (former != null)
                throw failure(entry.key(), "\"" + key + "\" and the key at " + former + " are names of the same flag");
            Object value = convert(option, command, entry);
            if (!command.commandLine().getParseResult().hasMatchedOption(option)) set(option, value);
        });
        return origins;
    }

    private static Failure failure(Recipe.Place place, String message) {
        return new Failure(ExitCode.USAGE, place + ": " + message);
    }

    private static OptionSpec find(String key, CommandSpec command, Recipe.Entry entry) {
        List<OptionSpec> options = options(command);
        return options.stream()
                .filter(option -> names(option).anyMatch(key::equals))
                .findFirst()
                .orElseThrow(() -> failure(
                        entry.key(),
                        "unknown key \"" + key + "\""
                                + DidYouMean.hint(
                                        key,
                                        options.stream()
                                                .flatMap(Settings::names)
                                                .toList())));
    }

    /** By a fresh parser of the same command, so that a recipe accepts and refuses exactly what the flag does. */
    private static Object convert(OptionSpec option, CommandSpec command, Recipe.Entry entry) {
        CommandLine parser = new CommandLine(command.userObject().getClass())
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setExpandAtFiles(false);
        if (entry.values().size() > 1 && !option.isMultiValue())
            throw failure(entry.value(), key(option) + " takes one value, not a list");
        String[] arguments = entry.values().stream()
                .map(value -> option.longestName() + "=" + value)
                .toArray(String[]::new);
        try {
            parser.parseArgs(arguments);
        } catch (ParameterException e) {
            String message = e.getCause() instanceof TypeConversionException cause
                    ? Main.valueMessage(option, e.getValue(), cause)
                    : e.getMessage();
            throw failure(entry.value(), key(option) + ": " + message);
        }
        return parser.getCommandSpec().findOption(option.longestName()).getValue();
    }

    private static void set(OptionSpec option, Object value) {
        try {
            option.setter().set(value);
        } catch (Exception e) {
            throw new IllegalStateException(option.longestName() + " cannot be set", e);
        }
    }

    /** The value as the flag takes it. */
    private static Object shown(OptionSpec option) {
        Object value = option.getValue();
        for (ITypeConverter<?> converter : option.converters())
            if (value != null && converter instanceof Names<?> names) return names.name(value);
        return value instanceof Enum<?> constant ? Names.flag(constant) : value;
    }

    private static List<OptionSpec> options(CommandSpec command) {
        return command.options().stream()
                .filter(option -> !NOT_IN_RECIPES.contains(key(option)))
                .toList();
    }

    private static Stream<String> names(OptionSpec option) {
        return Stream.of(option.names()).map(Settings::withoutDashes);
    }

    private static String key(OptionSpec option) {
        return withoutDashes(option.longestName());
    }

    private static String withoutDashes(String name) {
        return name.replaceFirst("^-+", "");
    }

    /** Shows a value that a flag without one leaves to its surroundings, for example the data. */
    void derive(String key, Object value, String origin) {
        if (settings.get(key).value() == null) settings.put(key, new Setting(value, origin));
    }

    /** Where a value is from: {@code default}, {@code flag} or {@code file:line:column}. */
    String origin(String key) {
        return settings.get(key).origin();
    }

    /** The settings by their names, numbers and truth values as such, all else as text. */
    Map<String, Setting> json() {
        Map<String, Setting> values = new LinkedHashMap<>();
        settings.forEach((key, setting) -> values.put(key, new Setting(plain(setting.value()), setting.origin())));
        return values;
    }

    private static Object plain(Object value) {
        if (value instanceof List<?> list)
            return list.stream().map(Settings::plain).toList();
        return value == null || value instanceof Number || value instanceof Boolean ? value : value.toString();
    }

    /** The configuration as a recipe that gives the same one again, each line with its origin as a comment. */
    String toYaml() {
        StringBuilder yaml = new StringBuilder();
        settings.forEach((key, setting) -> {
            boolean none = setting.value() == null || setting.value() instanceof List<?> list && list.isEmpty();
            String line = none ? "# " + key + ": none" : key + ": " + yaml(setting.value());
            yaml.append(String.format("%-32s # %s%n", line, setting.origin()));
        });
        return yaml.toString();
    }

    private static String yaml(Object value) {
        if (value instanceof List<?> list)
            return list.stream().map(Settings::yaml).toList().toString();
        String text = value.toString();
        boolean plain =
                text.matches("[A-Za-z0-9_./+-]+") && !List.of("~", "null", "-").contains(text);
        return plain ? text : '"' + new String(JsonStringEncoder.getInstance().quoteAsString(text)) + '"';
    }
}
