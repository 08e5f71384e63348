package org.dit4j.cli;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import org.dit4j.train.TrainingRun;
import org.slf4j.LoggerFactory;

/** The library's log on standard error: warnings, or everything. */
final class Logs {
    private Logs() {}

    static void configure(boolean debug) {
        // another slf4j provider may be on the class path of who embeds the command; its settings are its own
        if (LoggerFactory.getLogger("org.dit4j") instanceof Logger logger)
            logger.setLevel(debug ? Level.DEBUG : Level.WARN);
        // the command shows what a run says itself, above the line of progress
        if (LoggerFactory.getLogger(TrainingRun.class) instanceof Logger logger) logger.setLevel(Level.ERROR);
    }
}
