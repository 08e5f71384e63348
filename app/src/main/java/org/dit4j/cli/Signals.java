package org.dit4j.cli;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;

/**
 * SIGINT (Ctrl-C) and SIGTERM while a command can end in good order: the first asks it to, the second ends the process at once. By
 * reflection, as the compiler warns of {@code sun.misc.Signal}, which every JDK has and which is the only way to the exit code: a shutdown
 * hook would not hear of a second Ctrl-C.
 */
final class Signals implements AutoCloseable {
    private static final List<ExitCode> HANDLED = List.of(ExitCode.INTERRUPTED, ExitCode.TERMINATED);

    private final Runnable stop;
    private final List<Runnable> restore = new ArrayList<>();
    private volatile ExitCode received;

    private Signals(Runnable stop) {
        this.stop = stop;
    }

    /** From now on, until this is closed, the first signal runs {@code stop}. */
    static Signals handle(Runnable stop) {
        Signals signals = new Signals(stop);
        for (ExitCode code : HANDLED) signals.install(code);
        return signals;
    }

    private void install(ExitCode code) {
        try {
            Class<?> signal = Class.forName("sun.misc.Signal"), handler = Class.forName("sun.misc.SignalHandler");
            Object named =
                    signal.getConstructor(String.class).newInstance(code == ExitCode.INTERRUPTED ? "INT" : "TERM");
            Object ours = Proxy.newProxyInstance(
                    handler.getClassLoader(), new Class<?>[] {handler}, (proxy, method, arguments) -> {
                        if (method.getName().equals("handle")) receive(code);
                        return null;
                    });
            var handle = signal.getMethod("handle", signal, handler);
            Object former = handle.invoke(null, named, ours);
            restore.add(() -> {
                try {
                    handle.invoke(null, named, former);
                } catch (ReflectiveOperationException e) {
                    throw new IllegalStateException(e); // it worked once
                }
            });
        } catch (InvocationTargetException e) {
            if (!(e.getCause() instanceof IllegalArgumentException)) throw new IllegalStateException(e);
            // this JVM leaves the signal to the system, as with -Xrs
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e); // every JDK has these classes
        }
    }

    /** Each signal comes on a thread of its own. */
    private synchronized void receive(ExitCode code) {
        if (received != null) Runtime.getRuntime().halt(code.code);
        received = code;
        System.err.println(code == ExitCode.INTERRUPTED ? "\nsaving; Ctrl-C again stops at once" : "\nsaving");
        stop.run();
    }

    /** The failure, with its exit code, of a command that ended because of a signal. */
    Failure stopped(long steps) {
        ExitCode code = received == null ? ExitCode.TERMINATED : received;
        return new Failure(
                code, "saved and " + code.meaning + " after step " + steps + "; the same command goes on from there");
    }

    @Override
    public void close() {
        restore.forEach(Runnable::run);
    }
}
