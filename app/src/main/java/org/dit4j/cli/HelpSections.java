package org.dit4j.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.UsageMessageSpec;

/** Help of commands with groups of flags: mixins whose names begin with a capital. */
final class HelpSections {
    private HelpSections() {}

    /** Shows each group under its name. */
    static void group(CommandLine command) {
        Map<String, List<OptionSpec>> groups = groups(command);
        command.getHelpSectionMap().put(UsageMessageSpec.SECTION_KEY_OPTION_LIST, help -> {
            StringBuilder text = new StringBuilder(help.optionListExcludingGroups(others(command, groups)));
            groups.forEach((name, options) ->
                    text.append(String.format("%n%s:%n", name)).append(help.optionListExcludingGroups(options)));
            return text.toString();
        });
    }

    /** Shows no group, and of their flags only {@code shown}. */
    static void reduce(CommandLine command, String... shown) {
        Map<String, List<OptionSpec>> groups = groups(command);
        command.getHelpSectionMap().put(UsageMessageSpec.SECTION_KEY_OPTION_LIST, help -> {
            List<OptionSpec> options = new ArrayList<>();
            for (String name : shown) options.add(command.getCommandSpec().findOption(name));
            options.addAll(others(command, groups));
            return help.optionListExcludingGroups(options);
        });
    }

    private static Map<String, List<OptionSpec>> groups(CommandLine command) {
        Map<String, List<OptionSpec>> groups = new LinkedHashMap<>();
        collect(command.getCommandSpec(), groups);
        return groups;
    }

    private static void collect(CommandSpec command, Map<String, List<OptionSpec>> groups) {
        command.mixins().forEach((name, mixin) -> {
            if (Character.isUpperCase(name.charAt(0))) groups.put(name, mixin.options());
            else collect(mixin, groups);
        });
    }

    private static List<OptionSpec> others(CommandLine command, Map<String, List<OptionSpec>> groups) {
        List<OptionSpec> others = new ArrayList<>(command.getCommandSpec().options());
        groups.values().forEach(others::removeAll);
        return others;
    }
}
