package org.dit4j.report;

import java.io.PrintWriter;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * One line of progress: rewritten in place on a terminal; a plain line now and then where the output is a file or a pipe. Safe to call from several
 * threads.
 */
public final class Progress implements AutoCloseable {
    private static final long REDRAW_NANOS = 100_000_000L, PLAIN_NANOS = 10_000_000_000L;
    private static final int[] BARS = {20, 10};
    /** Time left is judged by about so much of what was last. */
    private static final long RECENT_NANOS = 120_000_000_000L, MARK_NANOS = 1_000_000_000L;

    private static final String ERASE = "\r\u001b[K", GREEN = "\u001b[32m", RESET = "\u001b[0m";

    /** So much was done after so many nanoseconds that were spent on it. */
    private record Mark(long done, long nanos) {}

    private final PrintWriter out;
    /** For what steers the terminal. */
    private final PrintWriter raw;

    private final Terminal terminal;
    private final String task;
    private final long total;
    private final LongSupplier nanoTime;

    private final Deque<Mark> recent = new ArrayDeque<>();
    private long firstNanos, pausedNanos, drawnNanos;
    /** What the line says; nothing before the first update and after the last. */
    private List<String> figures;

    /** Of the last update: the clock then, and the clock without the pauses until then. */
    private long done, doneNanos, workedNanos;

    private boolean drawn = true;
    /** Where Ctrl-C ends the process, what comes next on the terminal is to begin a line of its own. */
    private Thread onExit;

    /** Shows {@code task}, for example "train", as {@code total} steps are done. */
    public Progress(PrintWriter out, Terminal terminal, String task, long total) {
        this(out, terminal, task, total, System::nanoTime);
    }

    Progress(PrintWriter out, Terminal terminal, String task, long total, LongSupplier nanoTime) {
        if (total < 1) throw new IllegalArgumentException("total is " + total + "; at least 1");
        this.out = out;
        this.raw = PrintableWriter.raw(out);
        this.terminal = terminal;
        this.task = task;
        this.total = total;
        this.nanoTime = nanoTime;
    }

    /**
     * So much of the total is done; the figures are what else there is to say, for example "loss 0.12" and "310 images/s". Where the
     * line is too narrow for all, the last of them are left out, and the time left before the first.
     */
    public synchronized void update(long nowDone, String... nowFigures) {
        long now = nanoTime.getAsLong();
        boolean first = recent.isEmpty();
        if (first) firstNanos = now;
        workedNanos = now - pausedNanos;
        mark(nowDone, workedNanos);
        done = nowDone;
        doneNanos = now;
        figures = Arrays.asList(nowFigures);
        drawn = false;
        long pause = terminal.interactive() ? REDRAW_NANOS : PLAIN_NANOS;
        if (first || done >= total || now - drawnNanos >= pause) draw(now);
    }

    /** Of the time since the last update so much went to something else, and says nothing about how long the rest will take. */
    public synchronized void paused(long nanos) {
        pausedNanos += nanos;
    }

    /** Whether a person watches a line that is rewritten. */
    public boolean isLive() {
        return terminal.interactive();
    }

    /** The first mark is made when the first step is done, since that one takes longer. */
    private void mark(long done, long nanos) {
        if (!recent.isEmpty() && nanos - recent.getLast().nanos() < MARK_NANOS) return;
        recent.addLast(new Mark(done, nanos));
        while (recent.size() > 3 && nanos - recent.getFirst().nanos() > RECENT_NANOS) recent.removeFirst();
    }

    /** A line of its own, above the progress line. */
    public synchronized void message(String text) {
        if (!terminal.interactive()) {
            out.println(text);
            out.flush();
            return;
        }
        out.flush();
        raw.print(ERASE);
        out.println(text);
        out.flush();
        if (figures != null) draw(nanoTime.getAsLong());
        out.flush();
    }

    /** Shows the last update if it was not, and leaves the line. */
    @Override
    public synchronized void close() {
        if (figures == null) return;
        if (!drawn) draw(nanoTime.getAsLong());
        if (terminal.interactive()) out.println();
        out.flush();
        lineIsEnded();
        figures = null;
    }

    private void draw(long now) {
        if (terminal.interactive()) {
            if (onExit == null) endLineOnExit();
            out.flush();
            raw.print(ERASE + line());
            raw.flush();
        } else out.println(line());
        out.flush();
        drawnNanos = now;
        drawn = true;
    }

    private void endLineOnExit() {
        onExit = new Thread(() -> {
            out.println();
            out.flush();
        });
        try {
            Runtime.getRuntime().addShutdownHook(onExit);
        } catch (IllegalStateException e) {
            // the process ends already
        }
    }

    private void lineIsEnded() {
        if (onExit == null) return;
        try {
            Runtime.getRuntime().removeShutdownHook(onExit);
        } catch (IllegalStateException e) {
            // the process ends already
        }
        onExit = null;
    }

    private String line() {
        String left = done >= total ? "took " + time(doneNanos - firstNanos) : timeLeft();
        if (!terminal.interactive()) return task + " " + text(figures, left);
        for (int count = figures.size(); count >= 0; count--) {
            List<String> some = figures.subList(0, count);
            // with no figure there is room for the time or for nothing
            List<String> endings = count > 0 ? List.of(left) : List.of(left, "");
            for (String ending : endings)
                for (int bar : BARS) {
                    int length = task.length() + bar + 4 + text(some, ending).length();
                    // a line as wide as the terminal wraps, and a wrapped line cannot be rewritten
                    if (length < terminal.columns()) return task + " [" + bar(bar) + "] " + text(some, ending);
                }
        }
        String count = text(List.of(), "");
        return count.substring(0, Math.min(count.length(), Math.max(0, terminal.columns() - 1)));
    }

    private String bar(int width) {
        int filled = (int) Math.min(width, width * done / total);
        String bar = "#".repeat(filled) + ".".repeat(width - filled);
        return terminal.color() ? GREEN + bar + RESET : bar;
    }

    private String text(List<String> some, String left) {
        return Stream.of(Stream.of(done + "/" + total), some.stream(), Stream.of(left))
                .flatMap(part -> part)
                .filter(figure -> !figure.isEmpty())
                .collect(Collectors.joining("  "));
    }

    private String timeLeft() {
        Mark oldest = recent.getFirst();
        if (done <= oldest.done()) return "";
        double nanosPerStep = (double) (workedNanos - oldest.nanos()) / (done - oldest.done());
        return time((long) (nanosPerStep * (total - done))) + " left";
    }

    /** {@code 0:07}, {@code 12:34}, {@code 5:01:09}, {@code 3d 04:00}. */
    public static String time(long nanos) {
        long seconds = Math.max(0, Math.round(nanos / 1e9));
        long minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
        if (days > 0) return String.format(Locale.ROOT, "%dd %02d:%02d", days, hours % 24, minutes % 60);
        if (hours > 0) return String.format(Locale.ROOT, "%d:%02d:%02d", hours, minutes % 60, seconds % 60);
        return String.format(Locale.ROOT, "%d:%02d", minutes, seconds % 60);
    }
}
