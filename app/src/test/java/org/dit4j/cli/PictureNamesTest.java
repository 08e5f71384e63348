package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

class PictureNamesTest {
    @Test
    void aPictureIsNamedByItsNumberAndTheFirstNameOfItsClass() {
        assertEquals("007.png", SampleCommand.fileName(7, null));
        assertEquals("007-great-white-shark.png", SampleCommand.fileName(7, "Great White Shark, man-eater"));
    }

    /** As containers and services run, which have no locale. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void aClassWhoseLettersNoFileCanHaveIsLeftOutOfTheName() throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                PictureNamesTest.class.getName());
        builder.environment().put("LC_ALL", "C");
        Process process = builder.redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals("003.png", said.strip());
    }

    public static void main(String[] args) {
        System.out.println(
                Path.of("samples").resolve(SampleCommand.fileName(3, "\u732b")).getFileName());
    }
}
