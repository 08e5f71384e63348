package org.dit4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Function;
import org.dit4j.report.Numbers;
import org.dit4j.report.RunSummary;
import org.dit4j.report.Terminal;
import org.dit4j.run.RunFolder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
        name = "runs",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        customSynopsis = "dit runs [FLAG]...",
        optionListHeading = "%nFlags:%n",
        description = {
            "Lists the runs in a folder, newest first: how far they are, their last loss, the newest checkpoint, and whether a"
                    + " process trains them now.",
            "dit watch RUN follows one."
        })
final class RunsCommand implements Callable<Integer> {
    @Option(
            names = "--results-dir",
            paramLabel = "FOLDER",
            description = "Where the runs are. Default: ${DEFAULT-VALUE}.")
    private Path resultsDir = Path.of("results");

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    /** A column; those with a higher {@code rank} go first where the terminal is too narrow, 0 never does. */
    private record Column(String title, int rank, boolean right, Function<RunSummary, String> text) {}

    private static final List<Column> COLUMNS = List.of(
            new Column("run", 0, false, RunSummary::name),
            new Column("model", 3, false, run -> run.model() == null ? "-" : run.model()),
            new Column("state", 0, false, RunsCommand::state),
            new Column("step", 0, true, RunsCommand::step),
            new Column("loss", 0, true, run -> run.loss() == null ? "-" : Numbers.real(run.loss())),
            new Column("images", 4, true, run -> Numbers.number(run.images())),
            new Column("checkpoint", 2, false, run -> run.checkpoint() == null ? "-" : run.checkpoint()),
            new Column("size", 5, true, run -> Numbers.bytes(run.bytes())),
            new Column("updated", 1, true, run -> Numbers.ago(Duration.between(run.updated(), Instant.now()))));

    @Override
    public Integer call() throws IOException {
        if (spec.commandLine().getParseResult().hasMatchedOption("--results-dir") && !Files.isDirectory(resultsDir))
            throw new IllegalArgumentException("--results-dir " + resultsDir + ": no such folder");
        List<RunSummary> runs = new ArrayList<>();
        for (RunFolder folder : RunFolder.all(resultsDir))
            RunSummary.ofExisting(folder).ifPresent(runs::add);
        PrintWriter out = spec.commandLine().getOut(), err = spec.commandLine().getErr();
        if (json) out.println(new ObjectMapper().writeValueAsString(Map.of("runs", runs)));
        else if (runs.isEmpty())
            err.println("no runs in " + resultsDir + "; dit demo makes one, --results-dir looks elsewhere");
        else table(runs).forEach(out::println);
        out.flush();
        if (!json) for (RunSummary run : runs) for (String problem : run.problems()) err.println("dit: " + problem);
        err.flush();
        return ExitCode.DONE.code;
    }

    private static String state(RunSummary run) {
        String state = Names.flag(run.state());
        return run.process() == null || run.process() == 0 ? state : state + " (process " + run.process() + ")";
    }

    private static String step(RunSummary run) {
        String all = run.maxSteps() == null ? "" : " of " + Numbers.number(run.maxSteps());
        String skipped = run.skippedSteps() == 0 ? "" : ", " + Numbers.number(run.skippedSteps()) + " skipped";
        return Numbers.number(run.step()) + all + skipped;
    }

    /** As many columns as the terminal has room for. */
    private static List<String> table(List<RunSummary> runs) {
        Terminal terminal = Terminal.ofStandardOutput();
        List<String> lines = List.of();
        for (int rank = 5; rank >= 0; rank--) {
            int most = rank;
            lines = table(
                    runs, COLUMNS.stream().filter(column -> column.rank <= most).toList());
            int width = lines.stream().mapToInt(String::length).max().orElse(0);
            if (!terminal.interactive() || width <= terminal.columns()) break;
        }
        return lines;
    }

    private static List<String> table(List<RunSummary> runs, List<Column> columns) {
        List<StringBuilder> lines = new ArrayList<>();
        for (int i = 0; i <= runs.size(); i++) lines.add(new StringBuilder());
        for (Column column : columns) {
            List<String> cells = new ArrayList<>(List.of(column.title));
            runs.forEach(run -> cells.add(column.text.apply(run)));
            int width = cells.stream().mapToInt(String::length).max().orElse(0);
            for (int i = 0; i < cells.size(); i++) {
                String room = " ".repeat(width - cells.get(i).length());
                lines.get(i)
                        .append(lines.get(i).isEmpty() ? "" : "  ")
                        .append(column.right ? room + cells.get(i) : cells.get(i) + room);
            }
        }
        return lines.stream().map(line -> line.toString().stripTrailing()).toList();
    }
}
