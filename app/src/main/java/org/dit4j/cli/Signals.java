package org.dit4j.cli;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The signals that end a command in good order, while it can: SIGINT (Ctrl-C), SIGTERM, and SIGHUP (a closed terminal), unless it is
 * ignored, as under nohup. The first asks the command to end; a later SIGINT or SIGTERM ends the process at once. SIGUSR1 asks it to save
 * and go on, as batch systems do before a time is up. By reflection, as the compiler warns of {@code sun.misc.Signal}, which every JDK has
 * and which is the only way to the exit code: a shutdown hook would not hear of a second Ctrl-C.
 */
final class Signals implements AutoCloseable {
    private static final Map<String, ExitCode> ENDING =
            Map.of("INT", ExitCode.INTERRUPTED, "TERM", ExitCode.TERMINATED, "HUP", ExitCode.HUNG_UP);

    /** Whoever ends a process often tells it twice: its group and itself, or by two signals. That is one request. */
    private static final long SAME_NANOS = 300_000_000;

    private final String said;
    private final Runnable stop;
    private final List<Runnable> restore = new ArrayList<>();
    private volatile ExitCode received;
    private long receivedNanos;

    private Signals(String said, Runnable stop) {
        this.said = said;
        this.stop = stop;
    }

    /** From now on, until this is closed, the first signal that ends runs {@code stop}, and each SIGUSR1 {@code save}. */
    static Signals handle(Runnable stop, Runnable save) {
        return handle("saving", stop, save);
    }

    /** As {@link #handle(Runnable, Runnable)}; {@code said} is what the command does when it is asked to end. */
    static Signals handle(String said, Runnable stop, Runnable save) {
        Signals signals = new Signals(said, stop);
        ENDING.forEach((name, code) -> signals.install(name, () -> signals.receive(code)));
        signals.install("USR1", save);
        return signals;
    }

    /** From now on SIGUSR1, which would end the process, does nothing where there is nothing to save yet. */
    static void ignoreSave() {
        new Signals("", () -> {}).install("USR1", () -> {});
    }

    private void install(String name, Runnable action) {
        try {
            Class<?> signal = Class.forName("sun.misc.Signal"), handler = Class.forName("sun.misc.SignalHandler");
            Object named = signal.getConstructor(String.class).newInstance(name);
            Object ours = Proxy.newProxyInstance(
                    handler.getClassLoader(), new Class<?>[] {handler}, (proxy, method, arguments) -> {
                        if (method.getName().equals("handle")) action.run();
                        return null;
                    });
            var handle = signal.getMethod("handle", signal, handler);
            Object former = handle.invoke(null, named, ours); // what is ignored stays so: the JVM sees to that
            restore.add(() -> {
                try {
                    handle.invoke(null, named, former);
                } catch (ReflectiveOperationException e) {
                    throw new IllegalStateException(e); // it worked once
                }
            });
        } catch (InvocationTargetException e) {
            if (!(e.getCause() instanceof IllegalArgumentException)) throw new IllegalStateException(e);
            // this JVM leaves the signal to the system, as with -Xrs, or the system has none of this name
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e); // every JDK has these classes
        }
    }

    /** Each signal comes on a thread of its own. */
    private synchronized void receive(ExitCode code) {
        if (received == null) {
            received = code;
            receivedNanos = System.nanoTime();
            System.err.println("\n" + said + (code == ExitCode.INTERRUPTED ? "; Ctrl-C again stops at once" : ""));
            stop.run();
        } else if (code != ExitCode.HUNG_UP && System.nanoTime() - receivedNanos > SAME_NANOS)
            Runtime.getRuntime().halt(code.code);
    }

    /** The exit code of the signal that came; that of SIGTERM if none has. */
    synchronized ExitCode received() {
        return received == null ? ExitCode.TERMINATED : received;
    }

    /** The failure, with its exit code, of a command that ended because of a signal. */
    Failure stopped(long steps) {
        ExitCode code = received();
        return new Failure(
                code, "saved and " + code.meaning + " after step " + steps + "; the same command goes on from there");
    }

    @Override
    public void close() {
        restore.forEach(Runnable::run);
    }
}
