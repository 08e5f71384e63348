package org.dit4j.report;

import java.io.PrintWriter;
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
    private static final int BAR = 20;
    private static final String ERASE = "\r\u001b[K", GREEN = "\u001b[32m", RESET = "\u001b[0m";

    private final PrintWriter out;
    private final Terminal terminal;
    private final String task;
    private final long total;
    private final LongSupplier nanoTime;

    private long firstDone = -1, firstNanos, drawnNanos;
    private String line = "";
    private boolean drawn = true;

    /** Shows {@code task}, for example "train", as {@code total} steps are done. */
    public Progress(PrintWriter out, Terminal terminal, String task, long total) {
        this(out, terminal, task, total, System::nanoTime);
    }

    Progress(PrintWriter out, Terminal terminal, String task, long total, LongSupplier nanoTime) {
        if (total < 1) throw new IllegalArgumentException("total is " + total + "; at least 1");
        this.out = out;
        this.terminal = terminal;
        this.task = task;
        this.total = total;
        this.nanoTime = nanoTime;
    }

    /** {@code done} of the total are done; {@code details} is what else there is to say, for example "loss 0.12  310 images/s". */
    public synchronized void update(long done, String details) {
        long now = nanoTime.getAsLong();
        boolean first = firstDone < 0;
        if (first) {
            firstDone = done;
            firstNanos = now;
        }
        line = line(done, details, now);
        drawn = false;
        long pause = terminal.interactive() ? REDRAW_NANOS : PLAIN_NANOS;
        if (first || done >= total || now - drawnNanos >= pause) draw(now);
    }

    /** A line of its own, above the progress line. */
    public synchronized void message(String text) {
        if (!terminal.interactive()) {
            out.println(text);
            out.flush();
            return;
        }
        out.print(ERASE);
        out.println(text);
        if (!line.isEmpty()) draw(nanoTime.getAsLong());
        out.flush();
    }

    /** Shows the last update if it was not, and leaves the line. */
    @Override
    public synchronized void close() {
        if (line.isEmpty()) return;
        if (!drawn) draw(nanoTime.getAsLong());
        if (terminal.interactive()) out.println();
        out.flush();
        line = "";
    }

    private void draw(long now) {
        if (terminal.interactive()) out.print(ERASE + line);
        else out.println(line);
        out.flush();
        drawnNanos = now;
        drawn = true;
    }

    private String line(long done, String details, long now) {
        String left = done >= total ? "took " + time(now - firstNanos) : timeLeft(done, now);
        if (!terminal.interactive()) return task + " " + figures(done, details, left);
        int filled = (int) Math.min(BAR, BAR * done / total);
        String bar = "#".repeat(filled) + ".".repeat(BAR - filled);
        String head = task + " [";
        String tail = "] " + figures(done, details, left);
        // a line as wide as the terminal wraps, and a wrapped line cannot be rewritten
        int room = terminal.columns() - 1 - head.length() - BAR;
        if (room < 1) return (head + bar).substring(0, Math.max(0, terminal.columns() - 1));
        if (tail.length() > room) tail = tail.substring(0, room);
        return head + (terminal.color() ? GREEN + bar + RESET : bar) + tail;
    }

    private String figures(long done, String details, String left) {
        return Stream.of(done + "/" + total, details, left)
                .filter(figure -> !figure.isEmpty())
                .collect(Collectors.joining("  "));
    }

    private String timeLeft(long done, long now) {
        if (done <= firstDone) return "";
        double nanosPerStep = (double) (now - firstNanos) / (done - firstDone);
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
