package org.dit4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * Scripts by which shells complete commands, flags, values and files. Ours, as picocli's generator knows no fish, and gives every flag with
 * the same label for its value (ours say NAME) the same candidates.
 */
final class Completion {
    private Completion() {}

    static String bash(CommandLine dit) {
        List<String> values = new ArrayList<>(), words = new ArrayList<>();
        words.add("'') words=" + quoted(names(dit)) + " flags=" + quoted(flags(dit.getCommandSpec())) + " ;;");
        dit.getSubcommands().forEach((name, command) -> {
            CommandSpec spec = command.getCommandSpec();
            for (OptionSpec option : shown(spec))
                if (takesValue(option))
                    values.add(Stream.of(option.names())
                                    .map(flag -> quoted(name + " " + flag))
                                    .collect(Collectors.joining("|"))
                            + ") " + bashValue(option) + " ;;");
            String arguments = spec.positionalParameters().stream()
                    .map(Completion::candidates)
                    .collect(Collectors.joining(" "))
                    .strip();
            boolean files = spec.positionalParameters().stream().anyMatch(Completion::isFile);
            words.add(name + ") words=" + quoted(arguments) + " flags=" + quoted(flags(spec))
                    + (files ? " files=1" : "") + " ;;");
        });
        return """
                # Completion of dit for bash: source <(dit completion bash)
                _dit() {
                    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= words= flags= files= i
                    # bash makes three words of --flag=value
                    if [[ $word == "=" ]]; then word=; elif [[ $before == "=" ]]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi
                    for ((i = 1; i < COMP_CWORD; i++)); do
                        if [[ ${COMP_WORDS[i]} != -* ]]; then command=${COMP_WORDS[i]}; break; fi
                    done
                    COMPREPLY=() # where it stays empty, bash completes files
                    case "$command $before" in
                        %s
                    esac
                    case $command in
                        %s
                    esac
                    if [[ $files && $word != -* ]]; then return; fi
                    if [[ $word == -* || -z $words ]]; then words=$flags; fi
                    COMPREPLY=($(compgen -W "$words" -- "$word"))
                }
                complete -o default -F _dit dit
                """.formatted(String.join("\n        ", values), String.join("\n        ", words));
    }

    private static String bashValue(OptionSpec option) {
        String candidates = candidates(option);
        if (!candidates.isEmpty()) return "COMPREPLY=($(compgen -W " + quoted(candidates) + " -- \"$word\")); return";
        return isFile(option) ? "return" : "compopt +o default; return";
    }

    static String zsh(CommandLine dit) {
        List<String> commands = new ArrayList<>(), cases = new ArrayList<>();
        dit.getSubcommands().forEach((name, command) -> {
            CommandSpec spec = command.getCommandSpec();
            commands.add(quoted(name + ":" + description(spec.usageMessage().description())));
            List<String> arguments = new ArrayList<>();
            for (OptionSpec option : shown(spec)) arguments.addAll(zshFlags(option));
            for (ArgSpec argument : spec.positionalParameters()) arguments.add("'*" + zshValue(argument) + "'");
            cases.add(name + ") _arguments " + String.join(" ", arguments) + " ;;");
        });
        return """
                #compdef dit
                # Completion of dit for zsh: source <(dit completion zsh)
                _dit() {
                    local state context line
                    typeset -A opt_args
                    local -a commands=(
                        %s
                    )
                    _arguments -C %s '1:command:->command' '*:: :->arguments'
                    case $state in
                        command) _describe command commands ;;
                        arguments)
                            case $words[1] in
                                %s
                            esac ;;
                    esac
                }
                (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
                compdef _dit dit
                """.formatted(
                        String.join("\n        ", commands),
                        shown(dit.getCommandSpec()).stream()
                                .flatMap(option -> zshFlags(option).stream())
                                .collect(Collectors.joining(" ")),
                        String.join("\n                ", cases));
    }

    private static List<String> zshFlags(OptionSpec option) {
        String text = "[" + description(option.description()).replaceAll("([\\[\\]])", "\\\\$1") + "]";
        return names(option).stream()
                .map(name -> quoted(name
                        + (takesValue(option) && name.startsWith("--") ? "=" : "")
                        + text
                        + (takesValue(option) ? zshValue(option) : "")))
                .toList();
    }

    private static String zshValue(ArgSpec argument) {
        String candidates = candidates(argument);
        return ":" + argument.paramLabel() + ":"
                + (candidates.isEmpty() ? isFile(argument) ? "_files" : " " : "(" + candidates + ")");
    }

    static String fish(CommandLine dit) {
        List<String> lines = new ArrayList<>();
        lines.add("# Completion of dit for fish: dit completion fish | source");
        lines.add("complete -c dit -f");
        for (OptionSpec option : shown(dit.getCommandSpec()))
            lines.add("complete -c dit -n __fish_use_subcommand" + fishFlag(option));
        dit.getSubcommands().forEach((name, command) -> {
            CommandSpec spec = command.getCommandSpec();
            lines.add("complete -c dit -n __fish_use_subcommand -a " + name + " -d "
                    + quoted(description(spec.usageMessage().description())));
            String within = "complete -c dit -n '__fish_seen_subcommand_from " + name + "'";
            for (ArgSpec argument : spec.positionalParameters()) {
                String candidates = candidates(argument);
                lines.add(within + (candidates.isEmpty() ? " -F" : " -a " + quoted(candidates)));
            }
            for (OptionSpec option : shown(spec)) lines.add(within + fishFlag(option));
        });
        return String.join("\n", lines) + "\n";
    }

    private static String fishFlag(OptionSpec option) {
        StringBuilder line = new StringBuilder();
        for (String name : names(option))
            line.append(name.startsWith("--") ? " -l " : " -s ").append(bare(name));
        if (takesValue(option)) {
            String candidates = candidates(option);
            line.append(candidates.isEmpty() ? isFile(option) ? " -r -F" : " -x" : " -x -a " + quoted(candidates));
        }
        return line + " -d " + quoted(description(option.description()));
    }

    private static String bare(String name) {
        return name.replaceFirst("^-+", "");
    }

    private static List<OptionSpec> shown(CommandSpec command) {
        return command.options().stream().filter(option -> !option.hidden()).toList();
    }

    private static boolean takesValue(OptionSpec option) {
        return option.arity().max() > 0;
    }

    private static boolean isFile(ArgSpec argument) {
        return argument.type() == Path.class;
    }

    /** With {@code --no-flip} for {@code --flip}. */
    private static List<String> names(OptionSpec option) {
        List<String> names = new ArrayList<>(Arrays.asList(option.names()));
        if (option.negatable()) names.add("--no-" + bare(option.longestName()));
        return names;
    }

    private static String names(CommandLine dit) {
        return String.join(" ", dit.getSubcommands().keySet());
    }

    private static String flags(CommandSpec command) {
        return shown(command).stream().flatMap(option -> names(option).stream()).collect(Collectors.joining(" "));
    }

    /** Separated by spaces; empty if there are none. */
    private static String candidates(ArgSpec argument) {
        if (argument.completionCandidates() == null) return "";
        return StreamSupport.stream(argument.completionCandidates().spliterator(), false)
                .collect(Collectors.joining(" "));
    }

    /** The first sentence, without what stands for something else. */
    private static String description(String[] description) {
        if (description.length == 0) return "";
        String first = description[0].split("(?<=[.;])\\s")[0];
        return first.replaceAll("\\$\\{.*?}", "...").replaceFirst("[.;]$", "");
    }

    /** As bash and fish take it. */
    private static String quoted(String text) {
        return "'" + text.replace("'", "'\\''") + "'";
    }
}
