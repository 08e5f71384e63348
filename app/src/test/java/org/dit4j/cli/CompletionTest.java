package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What shells make of the scripts; bash for real, the others where they are installed. */
class CompletionTest {
    @TempDir
    private Path folder;

    private Path script(String shell) throws IOException {
        CommandRun run = CommandRun.of("completion", shell);
        assertEquals(0, run.exitCode(), run.err());
        return Files.writeString(folder.resolve("dit." + shell), run.out());
    }

    private static boolean installed(String shell) {
        return Stream.of(System.getenv().getOrDefault("PATH", "").split(":"))
                .anyMatch(path -> Files.isExecutable(Path.of(path, shell)));
    }

    private static String output(List<String> command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), text);
        return text.strip();
    }

    /** Underscores at the end stand for an empty word. */
    @ParameterizedTest
    @CsvSource({
        "dit tr, train",
        "dit com, completion",
        "dit train --sam, --sample-every --sampler",
        "dit train --dry, --dry-run",
        "dit train --no-f, --no-flip",
        "dit sample --sampler _, ddpm ddim",
        "dit sample --sampler = dd, ddpm ddim",
        "dit sample --profile _, official diffusers",
        "dit train --device c, cpu cuda",
        "dit train --precision _, fp32 autocast bf16",
        "dit train --model DiT-X, DiT-XL/8 DiT-XL/4 DiT-XL/2",
        "dit --debug inf, info",
        "dit completion _, bash zsh fish",
        "dit train --config x, ''",
        "dit verify x, ''",
    })
    void bashCompletesCommandsFlagsAndValuesAndLeavesFilesToReadline(String typed, String expected) throws Exception {
        assumeTrue(installed("bash"), "no bash here");
        List<String> command = new ArrayList<>(List.of(
                "bash",
                "-c",
                "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _dit; echo \"${COMPREPLY[*]}\"",
                "bash",
                script("bash").toString()));
        for (String word : typed.split(" ")) command.add(word.equals("_") ? "" : word);
        assertEquals(expected, output(command));
    }

    @ParameterizedTest
    @ValueSource(strings = {"bash", "zsh", "fish"})
    void everyShellParsesItsScript(String shell) throws Exception {
        Path script = script(shell);
        assumeTrue(installed(shell), "no " + shell + " here");
        assertEquals("", output(List.of(shell, "-n", script.toString())));
    }

    @Test
    void zshIsToldWhatFollowsAFlag() throws IOException {
        String script = Files.readString(script("zsh"));
        assertTrue(script.startsWith("#compdef dit\n"));
        assertTrue(script.contains("'train:Trains a model'"), "a command");
        assertTrue(script.contains("'--sampler=[ddpm, ddim]:NAME:(ddpm ddim)'"), "values");
        assertTrue(script.contains("'--config=[A recipe: a YAML file of flags without dashes]:FILE:_files'"), "files");
        assertTrue(script.contains("'--no-flip["), "what is on by default");
        assertTrue(script.contains("compdef _dit dit\n"));
    }

    @Test
    void fishIsToldWhatFollowsAFlag() throws IOException {
        String script = Files.readString(script("fish"));
        assertTrue(script.contains("complete -c dit -n __fish_use_subcommand -a train -d 'Trains a model'\n"));
        String train = "complete -c dit -n '__fish_seen_subcommand_from train' ";
        assertTrue(script.contains(train + "-l precision -x -a 'fp32 autocast bf16' -d "), "values");
        assertTrue(script.contains(train + "-l config -r -F -d "), "files");
        assertTrue(script.contains(train + "-l max-steps -x -d "), "anything");
        assertTrue(script.contains(train + "-l recompute -d "), "nothing");
    }

    @Test
    void anUnknownShellIsToldWhichThereAre() {
        CommandRun run = CommandRun.of("completion", "powershell");
        assertEquals(2, run.exitCode());
        assertTrue(run.err().contains("\"powershell\"; one of [bash, zsh, fish]"), run.err());
    }
}
