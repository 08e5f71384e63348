package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.dit4j.io.EventRecords.Message;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EventFileTest {
    @TempDir
    private Path folder;

    private List<Path> names() throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.sorted().toList();
        }
    }

    /** The value of the only summary that {@code value} makes. */
    private Message written(EventFile.Value value) throws IOException {
        try (EventFile file = EventFile.create(folder, 1)) {
            file.add(7, List.of(value));
            Message event = EventRecords.read(file.path()).get(2);
            assertEquals(7L, event.one(2));
            return event.message(5).message(1);
        }
    }

    @Test
    void aFileBeginsWithItsVersionAndAStartAtItsFirstStep() throws IOException {
        try (EventFile file = EventFile.create(folder, 301)) {
            assertTrue(file.path()
                    .getFileName()
                    .toString()
                    .matches("events\\.out\\.tfevents\\.\\d{10}\\.[A-Za-z0-9_-]+\\.\\d+"));
            List<Message> events = EventRecords.read(file.path());
            assertEquals(2, events.size());
            assertEquals("brain.Event:2", events.get(0).text(3));
            assertEquals(301L, events.get(1).one(2));
            assertEquals(1L, events.get(1).message(7).one(1)); // SessionLog.START
            double wallTime = (double) events.get(0).one(1);
            assertEquals(System.currentTimeMillis() / 1e3, wallTime, 60);
        }
    }

    @Test
    void whatIsAddedIsInTheFileAtOnce() throws IOException {
        try (EventFile file = EventFile.create(folder, 1)) {
            for (int step = 1; step <= 3; step++)
                file.add(step, List.of(EventFile.scalar("train/loss", 0.5 / step), EventFile.scalar("b", step)));
            List<Message> events = EventRecords.read(file.path());
            assertEquals(5, events.size());
            Message last = events.get(4);
            assertEquals(3L, last.one(2));
            List<Object> values = last.message(5).fields().get(1);
            assertEquals(2, values.size());
            Message loss = Message.of((byte[]) values.get(0));
            assertEquals("train/loss", loss.text(1));
            assertEquals((float) (0.5 / 3), loss.one(2));
        }
    }

    @Test
    void aPictureIsItsSizeAndItsBytes() throws IOException {
        byte[] png = {(byte) 0x89, 'P', 'N', 'G', 0, (byte) 0xff};
        Message image = written(EventFile.image("samples", 300, 200, png)).message(4);
        assertEquals(200L, image.one(1));
        assertEquals(300L, image.one(2));
        assertArrayEquals(png, (byte[]) image.one(4));
    }

    @Test
    void aHistogramHasTheUpperLimitsOfItsRanges() throws IOException {
        Message histogram = written(EventFile.histogram("h", -1, 3, 4.5, 9.25, new double[] {2, 0, 1, 5}))
                .message(5);
        assertEquals(
                List.of(-1.0, 3.0, 8.0, 4.5, 9.25),
                Stream.of(1, 2, 3, 4, 5).map(histogram::one).toList());
        assertEquals(List.of(0.0, 1.0, 2.0, 3.0), histogram.packed(6));
        assertEquals(List.of(2.0, 0.0, 1.0, 5.0), histogram.packed(7));
        for (double[] bounds : new double[][] {{1, 1}, {Double.NaN, 1}, {0, Double.POSITIVE_INFINITY}})
            assertThrows(
                    IllegalArgumentException.class,
                    () -> EventFile.histogram("h", bounds[0], bounds[1], 0, 0, new double[1]));
        assertThrows(IllegalArgumentException.class, () -> EventFile.histogram("h", 0, 1, 0, 0, new double[0]));
    }

    @Test
    void aTextIsAStringTensorOfThePluginForTexts() throws IOException {
        Message text = written(EventFile.text("run/configuration", "größer: **1**"));
        assertEquals("text", text.message(9).message(1).text(1));
        assertEquals(7L, text.message(8).one(1)); // DT_STRING
        assertEquals(1L, text.message(8).message(2).message(2).one(1));
        assertEquals("größer: **1**", text.message(8).text(8));
    }

    @Test
    void bytesAndChecksumAreThoseOfTensorBoardsOwnWriter() {
        byte[] event = new Protobuf()
                .real(1, 1.25)
                .number(2, 300)
                .message(
                        5, new Protobuf().message(1, new Protobuf().text(1, "a").real(2, 1.5f)))
                .toBytes();
        // tensorboard 2.21: Event(wall_time=1.25, step=300, summary=Summary(value=[Value(tag="a", simple_value=1.5)]))
        assertEquals(
                "09000000000000f43f10ac022a0a0a080a0161150000c03f",
                HexFormat.of().formatHex(event));
        assertEquals(0x96b4f2fe, EventFile.masked(event));
    }

    @Test
    void aLaterFileSortsAfterTheOthersWhateverTheClockSays() throws IOException {
        Files.createFile(folder.resolve("events.out.tfevents.4000000000.zzz.99"));
        Files.createFile(folder.resolve("notes.txt"));
        for (int i = 0; i < 2; i++) EventFile.create(folder, 1).close();
        List<String> sorted =
                names().stream().map(path -> path.getFileName().toString()).toList();
        assertTrue(sorted.get(1).startsWith("events.out.tfevents.4000000001."), sorted.toString());
        assertTrue(sorted.get(2).startsWith("events.out.tfevents.4000000002."), sorted.toString());
    }

    @Test
    void aFolderThatIsNotThereLeavesNothing() {
        assertThrows(NoSuchFileException.class, () -> EventFile.create(folder.resolve("none"), 1));
        assertTrue(Files.notExists(folder.resolve("none")));
    }
}
