package org.dit4j.cli;

import java.io.PrintWriter;
import java.util.Arrays;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
        name = "completion",
        mixinStandardHelpOptions = true,
        description =
                "Prints a script by which a shell completes dit's commands, flags, the values of flags, and files.",
        footer = {
            "",
            "For example, in the file that the shell reads when it starts:",
            "  ~/.bashrc                   source <(dit completion bash)",
            "  ~/.zshrc                    source <(dit completion zsh)",
            "  ~/.config/fish/config.fish  dit completion fish | source"
        })
final class CompletionCommand implements Callable<Integer> {
    enum Shell {
        BASH,
        ZSH,
        FISH
    }

    /** {@code bash} and so on. */
    static final class Shells extends Names<Shell> {
        Shells() {
            super(Arrays.asList(Shell.values()), Names::flag);
        }
    }

    @Parameters(
            paramLabel = "SHELL",
            converter = Shells.class,
            completionCandidates = Shells.class,
            description = "${COMPLETION-CANDIDATES}.")
    private Shell shell;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        CommandLine dit = spec.parent().commandLine();
        PrintWriter out = spec.commandLine().getOut();
        out.print(
                switch (shell) {
                    case BASH -> Completion.bash(dit);
                    case ZSH -> Completion.zsh(dit);
                    case FISH -> Completion.fish(dit);
                });
        out.flush();
        return ExitCode.DONE.code;
    }
}
