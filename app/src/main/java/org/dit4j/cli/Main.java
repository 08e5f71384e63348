package org.dit4j.cli;

import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import org.dit4j.io.Printable;
import org.dit4j.report.DidYouMean;
import org.dit4j.report.PrintableWriter;
import org.dit4j.report.Software;
import org.dit4j.torch.Backend;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.TypeConversionException;
import picocli.CommandLine.UnmatchedArgumentException;

/** The {@code dit} command. */
@Command(
        name = "dit",
        description = "Trains diffusion transformers (DiT) and draws pictures with them.",
        versionProvider = Main.Version.class,
        mixinStandardHelpOptions = true,
        synopsisSubcommandLabel = "COMMAND",
        commandListHeading = "%nCommands:%n",
        optionListHeading = "%nFlags:%n",
        footer = {
            "",
            "dit COMMAND --help explains one command. Results go to standard output, progress and errors to standard error.",
            "Exit codes: 0 done, 1 internal error, 2 usage or configuration, 4 data, 5 checkpoint, 6 device or native"
                    + " library, 7 out of memory, 8 disk full, 9 diverged, 75 watched run not finished, 129, 130 and 143 stopped by a signal."
        },
        subcommands = {
            DemoCommand.class,
            EncodeCommand.class,
            TrainCommand.class,
            RunsCommand.class,
            WatchCommand.class,
            SampleCommand.class,
            EvaluateCommand.class,
            StatsCommand.class,
            ServeCommand.class,
            VerifyCommand.class,
            InspectCommand.class,
            ConvertCommand.class,
            InfoCommand.class,
            BenchCommand.class,
            DoctorCommand.class,
            CompletionCommand.class
        })
public final class Main {
    static {
        Backend.configure();
        System.setProperty("picocli.trace", "OFF"); // it would warn of flags that are given twice
        System.setProperty("java.awt.headless", "true"); // charts and captions are drawn, never shown
    }

    @Option(
            names = "--debug",
            scope = ScopeType.INHERIT,
            description = "Print stack traces, and the library's log in full.")
    private boolean debug;

    private static final int MIN_HELP_WIDTH = 60, MAX_HELP_WIDTH = 110;

    private Main() {}

    /** Ends the JVM with the exit code. */
    public static void main(String[] args) {
        Signals.ignoreSave(); // first: a batch system asks when it likes
        Output out = Output.standard();
        System.exit(out.exitCode(run(out.stream(), System.err, args), System.err));
    }

    /** Runs one command line; results go to {@code out}, progress and messages to {@code err}. Returns the exit code. */
    static int run(PrintStream out, PrintStream err, String... args) {
        Main main = new Main();
        CommandLine dit = new CommandLine(main)
                .setOut(new PrintWriter(out, true, StandardCharsets.UTF_8))
                .setErr(new PrintWriter(err, true, StandardCharsets.UTF_8))
                .setExpandAtFiles(false)
                .setOverwrittenOptionsAllowed(
                        true) // the last counts, as in most programs; so a script's flags can be added to
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setUsageHelpLongOptionsMaxWidth(34)
                .setUsageHelpWidth(helpWidth(Integer.getInteger("dit.columns", 0)))
                .setExecutionStrategy(main::execute)
                .setParameterExceptionHandler((e, given) -> main.fail(e.getCommandLine(), usageFailure(e)))
                .setExecutionExceptionHandler((e, command, parsed) -> main.fail(command, Failure.of(e)));
        HelpSections.group(dit.getSubcommands().get("train"));
        HelpSections.reduce(
                dit.getSubcommands().get("demo"), "--max-steps", "--global-seed", "--device", "--results-dir");
        try {
            return dit.execute(args);
        } catch (Error e) { // picocli hands on exceptions only; memory and native libraries fail with errors
            return main.fail(dit, Failure.of(e));
        }
    }

    /** Of a help page in a terminal of so many columns, 0 where it is none: not wider than is pleasant to read. */
    static int helpWidth(int columns) {
        return columns == 0 ? MAX_HELP_WIDTH : Math.max(MIN_HELP_WIDTH, Math.min(MAX_HELP_WIDTH, columns));
    }

    private int execute(CommandLine.ParseResult parsed) {
        Logs.configure(debug);
        Integer helped = CommandLine.executeHelpRequest(parsed);
        if (helped != null) return helped;
        // help is the program's own; all else may have names of others in it
        CommandLine dit = parsed.commandSpec().commandLine();
        dit.setOut(new PrintableWriter(dit.getOut()));
        dit.setErr(new PrintableWriter(dit.getErr()));
        if (!parsed.hasSubcommand() && !parsed.isUsageHelpRequested() && !parsed.isVersionHelpRequested())
            throw new ParameterException(
                    parsed.commandSpec().commandLine(),
                    "no command given; one of " + commands(parsed.commandSpec().commandLine()));
        return new CommandLine.RunLast().execute(parsed);
    }

    private int fail(CommandLine command, Failure failure) {
        command.getErr().println("dit: " + Printable.text(failure.getMessage()));
        if (debug) (failure.getCause() == null ? failure : failure.getCause()).printStackTrace(command.getErr());
        command.getErr().flush();
        return failure.exitCode.code;
    }

    private static Failure usageFailure(ParameterException e) {
        CommandLine command = e.getCommandLine();
        return new Failure(
                ExitCode.USAGE,
                usageMessage(e, command) + "\ntry " + command.getCommandSpec().qualifiedName() + " --help",
                e);
    }

    private static String usageMessage(ParameterException e, CommandLine command) {
        if (e instanceof UnmatchedArgumentException unmatched
                && !unmatched.getUnmatched().isEmpty())
            return unknown(unmatched.getUnmatched().get(0), command);
        if (e.getArgSpec() instanceof OptionSpec option && e.getCause() instanceof TypeConversionException cause)
            return option.longestName() + ": " + valueMessage(option, e.getValue(), cause);
        if (e.getArgSpec() != null && e.getCause() instanceof TypeConversionException cause)
            return e.getArgSpec().paramLabel() + ": " + valueMessage(e.getArgSpec(), e.getValue(), cause);
        return e.getMessage();
    }

    private static String unknown(String given, CommandLine command) {
        if (given.startsWith("-")) {
            String name = given.replaceFirst("=.*", "");
            List<String> flags = command.getCommandSpec().options().stream()
                    .flatMap(option -> List.of(option.names()).stream())
                    .toList();
            return "unknown flag " + name + DidYouMean.hint(name, flags);
        }
        Set<String> commands = commands(command);
        if (commands.isEmpty()) return "unexpected argument \"" + given + "\"";
        return "unknown command \"" + given + "\"; one of " + commands + DidYouMean.hint(given, commands);
    }

    /** What is wrong with a value that did not convert, for flags and recipes alike. */
    static String valueMessage(ArgSpec option, String given, TypeConversionException cause) {
        if (option.completionCandidates() == null)
            return cause.getMessage()
                    .replaceFirst("^'(.*)' is not an? (int|long)$", "\"$1\" is not a whole number")
                    .replaceFirst("^'(.*)' is not a boolean$", "\"$1\" is not true or false");
        List<String> known = new java.util.ArrayList<>();
        option.completionCandidates().forEach(known::add);
        return "unknown value \"" + given + "\"; one of " + known + DidYouMean.hint(String.valueOf(given), known);
    }

    private static Set<String> commands(CommandLine command) {
        return command.getSubcommands().keySet();
    }

    /** What {@code --version} prints. */
    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {
                Software.version() + ", Java " + Runtime.version().feature()
            };
        }
    }
}
