package org.dit4j.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dit4j.io.JsonLine;
import org.dit4j.report.Figures;
import org.dit4j.report.FollowedFile;
import org.dit4j.report.Numbers;
import org.dit4j.report.Progress;
import org.dit4j.report.RunSummary;
import org.dit4j.report.Terminal;
import org.dit4j.run.RunFolder;
import org.dit4j.run.RunLock;
import org.dit4j.run.TrainingLog;
import org.dit4j.train.ValidationLosses;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
        name = "watch",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        customSynopsis = "dit watch [RUN] [FLAG]...",
        optionListHeading = "%nFlags:%n",
        description = {
            "Follows a run that another process trains: its line of progress, its spikes, validations, checkpoints and warnings.",
            "Ends with the run: with 0 if it is finished, with 75 if its trainer was stopped or died."
        })
final class WatchCommand implements Callable<Integer> {
    private static final long PAUSE_MILLIS = 500;
    /** A line of {@code log.txt}; those of losses are shown otherwise. */
    private static final Pattern MESSAGE = Pattern.compile("\\[[^\\]]*\\] (?!\\(step=)(.*)");

    @Parameters(
            arity = "0..1",
            paramLabel = "RUN",
            description = "A run folder. Default: the newest one that is training, else the newest.")
    private Path run;

    @Option(
            names = "--results-dir",
            paramLabel = "FOLDER",
            description = "Where the runs are, if none is named. Default: ${DEFAULT-VALUE}.")
    private Path resultsDir = Path.of("results");

    @Option(
            names = "--json",
            description = "Print the metrics, those there are and those to come, one JSON object a line.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    private PrintWriter out, err;
    private RunFolder folder;
    private FollowedFile metrics, validation, log;
    /** Null before the first log. */
    private TrainingLog last;
    /** When the logs and the validations were that are known, by step; clocks are set back, so later lines may have earlier times. */
    private final Map<Long, Instant> shown = new HashMap<>(), validated = new HashMap<>();
    /** Null until there is something to show. */
    private Progress progress;

    private long total;

    @Override
    public Integer call() throws IOException {
        out = spec.commandLine().getOut();
        err = spec.commandLine().getErr();
        folder = run == null ? newest() : named();
        metrics = new FollowedFile(folder.metrics());
        validation = new FollowedFile(folder.validation());
        log = new FollowedFile(folder.log());
        if (!json) err.println("run folder: " + folder.path());
        try {
            follow();
        } finally {
            if (progress != null) progress.close();
        }
        return ended().code;
    }

    private RunFolder named() {
        if (!Files.isDirectory(run))
            throw new IllegalArgumentException(run + ": no such run folder; dit runs lists those there are");
        RunFolder named = new RunFolder(run);
        Failure.as(ExitCode.USAGE, named::identity); // refuses what is not the folder of a run
        return named;
    }

    private RunFolder newest() throws IOException {
        List<RunFolder> all = RunFolder.all(resultsDir);
        for (RunFolder candidate : all) if (RunLock.holder(candidate).isPresent()) return candidate;
        return all.stream()
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "no runs in " + resultsDir + "; name a run folder, or where they are: --results-dir FOLDER"));
    }

    private void follow() throws IOException {
        newValidations(); // what was said before is in the folder
        log.poll(() -> {}, line -> {});
        while (true) {
            boolean training = RunLock.holder(folder).isPresent(); // before the rest is read, so that nothing is missed
            showMetrics(training);
            if (!json) showMessages();
            if (!training) return;
            try {
                TimeUnit.MILLISECONDS.sleep(PAUSE_MILLIS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }

    private void showMetrics(boolean training) throws IOException {
        boolean first = last == null;
        metrics.poll(() -> {}, line -> showMetrics(JsonLine.parse(line), first));
        if (!json && first && last != null && training) show();
        out.flush();
    }

    private void showMetrics(JsonNode line, boolean first) {
        TrainingLog found = TrainingLog.of(line).orElse(null);
        // a trainer that goes on cuts back what is behind its checkpoint; what stays was shown, whatever the clock says
        if (found == null
                || found.time().at().equals(shown.put(found.step(), found.time().at()))) return;
        last = found;
        if (json) out.println(line);
        else if (found.spike() && !first)
            say(String.format(Locale.ROOT, "Loss spike at step %d: %.4f", found.step(), found.loss()));
        if (!json && !first) show();
    }

    /** The validations since those that were seen; they are cut back as the metrics are. */
    private List<ValidationLosses> newValidations() throws IOException {
        List<ValidationLosses> found = new ArrayList<>();
        for (String line : validation.poll().values())
            ValidationLosses.of(JsonLine.parse(line))
                    .filter(losses -> !losses.at().equals(validated.put(losses.step(), losses.at())))
                    .ifPresent(found::add);
        return found;
    }

    private void showMessages() throws IOException {
        for (ValidationLosses losses : newValidations())
            say(String.format(Locale.ROOT, "Validation loss at step %d: %.4f", losses.step(), losses.loss()));
        for (String line : log.poll().values()) {
            Matcher message = MESSAGE.matcher(line);
            if (message.matches()) say(message.group(1));
        }
    }

    private void say(String message) {
        if (progress != null) progress.message(message);
        else err.println(message);
        err.flush();
    }

    /** The same line as the trainer's; for the last step there is a result. */
    private void show() {
        // a trainer that goes on may have been given more
        Long configured = Failure.as(ExitCode.USAGE, () -> RunSummary.maxSteps(folder));
        long steps = configured == null ? last.step() : configured;
        if (progress == null || steps != total) {
            if (progress != null) progress.close();
            total = steps;
            progress = new Progress(err, Terminal.ofStandardError(), "train", total);
        }
        if (last.step() < steps) progress.update(last.step(), Figures.of(last));
    }

    private ExitCode ended() throws IOException {
        RunSummary summary = RunSummary.of(folder);
        boolean finished = summary.state() == RunSummary.State.FINISHED;
        String steps = Numbers.number(summary.step())
                + (summary.maxSteps() == null ? "" : " of " + Numbers.number(summary.maxSteps()));
        String result = finished
                ? "finished: " + steps + " steps" + skipped(summary)
                        + (last == null ? "" : ", loss " + Numbers.real(last.loss()))
                : (wasStopped() ? "stopped" : "its trainer ended without finishing") + " at step " + steps
                        + (summary.checkpoint() == null ? "" : "; " + summary.checkpoint() + " is where it goes on");
        summary.problems().forEach(err::println);
        (json ? err : out).println(result);
        (json ? err : out).flush();
        return finished ? ExitCode.DONE : ExitCode.UNFINISHED;
    }

    private static String skipped(RunSummary summary) {
        return summary.skippedSteps() == 0 ? "" : ", " + Numbers.number(summary.skippedSteps()) + " of them skipped";
    }

    /** Whether the last trainer said that it stops. */
    private boolean wasStopped() throws IOException {
        String[] newest = {""};
        new FollowedFile(folder.log()).poll(() -> {}, line -> newest[0] = line);
        return newest[0].contains("] Stopped at step ");
    }
}
