package org.dit4j.jobs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What other machines do is played by their files; what other processes of this one do, {@link ShardRunnerTest} sees. */
class LeasesTest {
    private static final Duration EXPIRY = Duration.ofSeconds(1);
    private static final String ELSEWHERE = "0f0f0f0f-0000-4000-8000-000000000000 0123456789abcdef process 7\n";

    @TempDir
    private Path folder;

    private Path file, lease;

    @BeforeEach
    void name() {
        file = folder.resolve("latents-00000.safetensors");
        lease = folder.resolve("latents-00000.safetensors.lease");
    }

    @Test
    void aLeaseIsOneOwnersUntilItIsClosed() throws IOException {
        try (Leases ours = new Leases(EXPIRY)) {
            try (Leases.Lease taken = ours.take(file).orElseThrow()) {
                assertFalse(taken.inherited());
                assertTrue(Files.readString(lease)
                        .contains("process " + ProcessHandle.current().pid()));
            }
            assertFalse(Files.exists(lease));
            ours.take(file).orElseThrow().close();
        }
    }

    @Test
    void theOwnerCountsOn() throws Exception {
        try (Leases ours = new Leases(EXPIRY);
                Leases.Lease taken = ours.take(file).orElseThrow()) {
            assertFalse(taken.inherited());
            String before = Files.readString(lease);
            String after = before;
            for (int look = 0; look < 200 && after.equals(before); look++) {
                TimeUnit.MILLISECONDS.sleep(50);
                after = Files.readString(lease);
            }
            assertNotEquals(before, after);
            assertEquals(before.lines().findFirst(), after.lines().findFirst());
        }
    }

    /** Whatever the time of the file says: clocks of two machines may differ by years. */
    @Test
    void aLeaseOfAnotherMachineRunsOutByTheClockOfWhoLooks() throws Exception {
        for (long years : new long[] {-10, 0, 10}) {
            Files.writeString(lease, ELSEWHERE + "1\n");
            Files.setLastModifiedTime(lease, FileTime.from(Instant.now().plus(Duration.ofDays(365 * years))));
            try (Leases ours = new Leases(EXPIRY)) {
                assertEquals(Optional.empty(), ours.take(file));
                TimeUnit.MILLISECONDS.sleep(EXPIRY.toMillis() + 50);
                try (Leases.Lease taken = ours.take(file).orElseThrow()) {
                    assertTrue(taken.inherited());
                }
            }
        }
    }

    @Test
    void aLeaseThatCountsOnIsLeftAlone() throws Exception {
        try (Leases ours = new Leases(EXPIRY)) {
            for (int beat = 0; beat < 15; beat++) {
                Files.writeString(lease, ELSEWHERE + beat + "\n");
                assertEquals(Optional.empty(), ours.take(file));
                TimeUnit.MILLISECONDS.sleep(EXPIRY.toMillis() / 10);
            }
            assertTrue(Files.readString(lease).startsWith(ELSEWHERE));
        }
    }

    @Test
    void aLeaseThatNobodySignedRunsOutToo() throws Exception {
        Files.createFile(lease);
        try (Leases ours = new Leases(EXPIRY)) {
            assertEquals(Optional.empty(), ours.take(file));
            TimeUnit.MILLISECONDS.sleep(EXPIRY.toMillis() + 50);
            ours.take(file).orElseThrow().close();
        }
    }

    @Test
    void whatAnotherHasTakenOverIsNotRemovedByTheFormerOwner() throws IOException {
        try (Leases ours = new Leases(EXPIRY)) {
            Leases.Lease lost = ours.take(file).orElseThrow();
            Files.delete(lease);
            Files.writeString(lease, ELSEWHERE + "1\n");
            lost.close();
            assertEquals(ELSEWHERE + "1\n", Files.readString(lease));
        }
    }
}
