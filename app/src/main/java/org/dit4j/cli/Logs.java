package org.dit4j.cli;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.PatternLayout;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.Appender;
import ch.qos.logback.core.AppenderBase;
import java.util.function.Consumer;
import org.dit4j.run.TrainingRun;
import org.slf4j.LoggerFactory;

/** The library's log: warnings, or everything, on standard error, or above a line of progress. */
final class Logs implements AutoCloseable {
    private static final String STDERR = "stderr"; // its name in logback.xml

    private final Runnable restore;

    private Logs(Runnable restore) {
        this.restore = restore;
    }

    static void configure(boolean debug) {
        // another slf4j provider may be on the class path of who embeds the command; its settings are its own
        if (LoggerFactory.getLogger("org.dit4j") instanceof Logger logger)
            logger.setLevel(debug ? Level.DEBUG : Level.WARN);
        // the command shows what a run says itself, above the line of progress
        if (LoggerFactory.getLogger(TrainingRun.class) instanceof Logger logger) logger.setLevel(Level.ERROR);
    }

    /** Until this is closed, the log goes to {@code messages}, from whatever thread. */
    static Logs to(Consumer<String> messages) {
        if (!(LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME) instanceof Logger root)
                || root.getAppender(STDERR) == null) return new Logs(() -> {});
        Appender<ILoggingEvent> stderr = root.getAppender(STDERR);
        PatternLayout layout = new PatternLayout();
        layout.setContext(root.getLoggerContext());
        layout.setPattern("%level %logger{0}: %msg");
        layout.start();
        Appender<ILoggingEvent> above = new AppenderBase<>() {
            @Override
            protected void append(ILoggingEvent event) {
                messages.accept(layout.doLayout(event));
            }
        };
        above.setContext(root.getLoggerContext());
        above.start();
        root.addAppender(above);
        root.detachAppender(stderr);
        return new Logs(() -> {
            root.addAppender(stderr);
            root.detachAppender(above);
        });
    }

    @Override
    public void close() {
        restore.run();
    }
}
