package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine.Command;

class MainTest {
    @Test
    void helpAndVersionGoToStandardOutput() {
        CommandRun help = CommandRun.of("--help");
        assertEquals(0, help.exitCode());
        assertTrue(help.out().startsWith("Usage: dit "));
        assertEquals("", help.err());
        CommandRun version = CommandRun.of("--version");
        assertEquals(0, version.exitCode());
        assertTrue(version.out().startsWith("dit4j "));
    }

    @Test
    void helpIsAsWideAsTheTerminalWithinReason() {
        assertEquals(110, Main.helpWidth(0), "no terminal");
        assertEquals(80, Main.helpWidth(80));
        assertEquals(110, Main.helpWidth(200));
        assertEquals(60, Main.helpWidth(20));
    }

    @Test
    void defaultsAreShownAsTheyAreTyped() {
        for (Class<?> type : Main.class.getAnnotation(Command.class).subcommands()) {
            String command = type.getAnnotation(Command.class).name();
            String help = CommandRun.of(command, "--help").out();
            Matcher constant = Pattern.compile("Default:\\s+[A-Z]{2}[A-Z_]+\\b").matcher(help);
            assertFalse(constant.find(), () -> command + ": " + constant.group());
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--hlep      | dit: unknown flag --hlep; did you mean --help?",
                "--hlep=1    | dit: unknown flag --hlep; did you mean --help?",
                "--debug=too | dit: --debug: \"too\" is not true or false",
            })
    void aMistypedCommandLineGetsOneMessageAndExits2(String argument, String message) {
        CommandRun run = CommandRun.of(argument);
        assertEquals(2, run.exitCode());
        assertEquals("", run.out());
        assertEquals(message + "\ntry dit --help\n", run.err());
    }

    @Test
    void anUnknownCommandIsToldWhichThereAre() {
        CommandRun run = CommandRun.of("inof");
        assertEquals(2, run.exitCode());
        assertTrue(run.err().startsWith("dit: unknown command \"inof\"; one of ["), run.err());
        assertTrue(run.err().contains("; did you mean info?\n"), run.err());
    }

    @Test
    void theStackTraceIsThereOnRequestOnly() {
        String[] wrong = {"info", "--image-size", "12"};
        assertEquals(1, CommandRun.of(wrong).err().lines().count());
        CommandRun debug = CommandRun.of(wrong[0], wrong[1], wrong[2], "--debug");
        assertEquals(2, debug.exitCode());
        assertTrue(
                debug.err().contains("IllegalArgumentException") && debug.err().contains("\tat "), debug.err());
    }

    @Test
    void noCommandAtAllExits2() {
        CommandRun run = CommandRun.of();
        assertEquals(2, run.exitCode());
        assertTrue(run.err().startsWith("dit: no command given"));
    }
}
