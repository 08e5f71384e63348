package org.dit4j.web;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.bytedeco.javacpp.Pointer;
import org.dit4j.cli.CommandRun;
import org.dit4j.cli.TinyRun;
import org.dit4j.io.Images;
import org.dit4j.web.TestStudio.Answer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StudioApiTest {
    private static final String QUICK = "\"classes\": [\"star\"], \"steps\": 3, \"sampler\": \"ddim\", \"guidance\": 2";
    private static final String LONG = "{\"classes\": [\"star\"], \"steps\": 1000, \"count\": 64, \"guidance\": 2}";

    @TempDir
    private static Path folder;

    private static Path run;
    private static TestStudio studio;

    @BeforeAll
    static void start() throws IOException {
        run = TinyRun.train(folder.resolve("results"));
        studio = new TestStudio(folder.resolve("gallery"), folder.resolve("results"));
        studio.awaitReady();
    }

    @AfterAll
    static void stop() {
        studio.close();
    }

    private static int[] pixels(BufferedImage image) {
        return image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth());
    }

    private static int[] pixels(byte[] png) throws IOException {
        return pixels(ImageIO.read(new ByteArrayInputStream(png)));
    }

    @Test
    void thePictureIsTheCommandsForTheSameRecipe() throws IOException {
        Path out = folder.resolve("sampled");
        CommandRun sampled = CommandRun.of(
                "sample",
                "--ckpt=" + run,
                "--class=star,moon",
                "--count=2",
                "--seed=5",
                "--num-sampling-steps=7",
                "--cfg-scale=3",
                "--device=cpu",
                "--out=" + out);
        assertEquals(0, sampled.exitCode(), sampled.err());
        List<Path> files;
        try (Stream<Path> all = Files.list(out)) {
            files = all.filter(path -> !path.endsWith("grid.png")).sorted().toList();
        }
        JsonNode job = studio.drawn(
                "{\"classes\": [\"star\", \"moon\"], \"count\": 2, \"seed\": 5, \"steps\": 7, \"guidance\": 3}");
        assertEquals(4, job.path("images").size());
        for (int i = 0; i < 4; i++) {
            String id = job.path("images").get(i).asText();
            Answer png = studio.get("/v1/images/" + id + ".png");
            assertEquals("image/png", png.header("Content-Type"));
            assertArrayEquals(pixels(Files.readAllBytes(files.get(i))), pixels(png.bytes()), "picture " + i);
            // and the recipe in its file draws that one picture again, alone, to the byte
            JsonNode recipe = studio.send("POST", "/v1/png-info", png.bytes(), "Content-Type", "image/png")
                    .json()
                    .path("recipe");
            JsonNode again = studio.drawn("{\"classes\": [" + recipe.at("/class/label") + "], \"seed\": "
                    + recipe.path("seed") + ", \"index\": " + recipe.path("index") + ", \"steps\": "
                    + recipe.path("steps") + ", \"guidance\": " + recipe.path("guidance") + ", \"sampler\": "
                    + recipe.path("sampler") + "}");
            assertEquals(id, again.path("images").get(0).asText(), "the same recipe is the same file");
        }
        // what dit sample wrote is read too
        Answer info =
                studio.send("POST", "/v1/png-info", Files.readAllBytes(files.get(1)), "Content-Type", "image/png");
        assertEquals("moon", info.json().at("/recipe/class/name").asText());
        assertEquals(1, info.json().at("/recipe/index").asInt());
    }

    @Test
    void theRecipeStandsInThePng() throws IOException {
        JsonNode job = studio.drawn("{" + QUICK + ", \"seed\": \"9223372036854775807\", \"interval\": [100, 800]}");
        Path file = folder.resolve("gallery").resolve(job.path("images").get(0).asText() + ".png");
        JsonNode recipe =
                Json.parse(Images.readPngText(file).get(PictureRecipe.KEY).getBytes(StandardCharsets.UTF_8));
        assertEquals("9223372036854775807", recipe.path("seed").asText());
        assertEquals("star", recipe.at("/class/name").asText());
        assertEquals(64, recipe.at("/model/digest").asText().length());
        assertEquals(100, recipe.at("/interval/0").asDouble());
        assertTrue(
                new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1).contains("iTXt" + PictureRecipe.KEY));
    }

    @Test
    void eventsTellOfEveryStateAndWhoComesBackHearsWhatWasMissed() throws Exception {
        Answer accepted = studio.post("/v1/generations", "{\"classes\": [1], \"steps\": 40, \"seed\": 11}");
        String events = accepted.header("Location") + "/events";
        List<String[]> heard = studio.events(events);
        List<String> names = heard.stream().map(event -> event[1]).toList();
        assertEquals("queued", names.get(0));
        assertEquals("done", names.get(names.size() - 1));
        assertTrue(names.containsAll(List.of("step", "preview", "pictures")), names::toString);
        long last = 0;
        for (String[] event : heard) {
            assertTrue(Long.parseLong(event[0]) > last, "events come in their order");
            last = Long.parseLong(event[0]);
            Json.parse(event[2].getBytes(StandardCharsets.UTF_8));
        }
        String pictures = heard.get(names.indexOf("pictures"))[0];
        List<String> since = studio.events(events, "Last-Event-ID", pictures).stream()
                .map(event -> event[1])
                .toList();
        assertEquals("done", since.get(since.size() - 1));
        assertFalse(since.contains("queued") || since.contains("pictures"), since::toString);
        JsonNode previews =
                studio.get(accepted.header("Location") + "/previews").json().path("previews");
        assertTrue(previews.size() > 0);
        Answer jpeg = studio.get(accepted.header("Location") + "/previews/0/"
                + previews.get(0).path("step").asText());
        assertEquals("image/jpeg", jpeg.header("Content-Type"));
        assertEquals(
                previews.get(0).path("width").asInt(),
                ImageIO.read(new ByteArrayInputStream(jpeg.bytes())).getWidth());
    }

    @Test
    void aJobEndsBeforeItsNextStep() throws Exception {
        Answer accepted = studio.post("/v1/generations", LONG);
        String id = accepted.json().path("id").asText();
        while (studio.get("/v1/generations/" + id).json().path("step").asInt() < 2) TestStudio.pause(5);
        assertEquals(204, studio.delete("/v1/generations/" + id).status());
        JsonNode job = studio.finished(id);
        assertEquals("cancelled", job.path("state").asText());
        assertEquals(0, job.path("images").size());
        Answer again = studio.delete("/v1/generations/" + id);
        assertEquals(409, again.status());
    }

    @Test
    void aNewRequestMayReplaceAllOthersOfItsClient() {
        String first = studio.post("/v1/generations", LONG, "Dit-Client", "a")
                .json()
                .path("id")
                .asText();
        String second = studio.post("/v1/generations", LONG, "Dit-Client", "a")
                .json()
                .path("id")
                .asText();
        String draft = studio.post(
                        "/v1/generations", "{" + QUICK + ", \"replace\": true, \"draft\": true}", "Dit-Client", "a")
                .json()
                .path("id")
                .asText();
        JsonNode done = studio.finished(draft);
        assertEquals("done", done.path("state").asText());
        assertEquals(0, done.path("images").size(), "a draft is not kept");
        assertEquals("cancelled", studio.finished(first).path("state").asText());
        assertEquals("cancelled", studio.finished(second).path("state").asText());
        JsonNode previews =
                studio.get("/v1/generations/" + draft + "/previews").json().path("previews");
        assertEquals(
                3, previews.get(previews.size() - 1).path("step").asInt(), "the last step of a draft is always shown");
    }

    @Test
    void clientsTakeTurnsAndTheFullQueueSaysWhenToComeBack() {
        List<String> ids = new ArrayList<>();
        ids.add(studio.post("/v1/generations", LONG, "Dit-Client", "greedy")
                .json()
                .path("id")
                .asText());
        while (!studio.get("/v1/generations/" + ids.get(0))
                .json()
                .path("state")
                .asText()
                .equals("running")) TestStudio.pause(5);
        for (int i = 0; i < 7; i++)
            ids.add(studio.post("/v1/generations", LONG, "Dit-Client", "greedy")
                    .json()
                    .path("id")
                    .asText());
        Answer modest = studio.post("/v1/generations", LONG, "Dit-Client", "modest");
        assertEquals(1, modest.json().path("position").asInt(), "after the first of the other client");
        Answer full = studio.post("/v1/generations", LONG, "Dit-Client", "late");
        assertEquals(429, full.status());
        assertTrue(Integer.parseInt(full.header("Retry-After")) >= 1);
        ids.add(modest.json().path("id").asText());
        for (String id : ids) studio.delete("/v1/generations/" + id);
        for (String id : ids) studio.finished(id);
    }

    @Test
    void theSameRequestUnderTheSameKeyIsOneJob() {
        String body = "{" + QUICK + ", \"seed\": 77}";
        Answer first = studio.post("/v1/generations", body, "Idempotency-Key", "k-1");
        Answer second = studio.post("/v1/generations", body, "Idempotency-Key", "k-1");
        assertEquals(202, second.status());
        assertEquals(first.json().path("id"), second.json().path("id"));
        Answer other = studio.post("/v1/generations", "{" + QUICK + "}", "Idempotency-Key", "k-1");
        assertEquals(422, other.status());
        studio.finished(first.json().path("id").asText());
    }

    @Test
    void aGridIsOrdinaryPicturesAndASheet() throws IOException {
        Answer accepted = studio.post(
                "/v1/grids",
                "{\"base\": {" + QUICK + "}, \"x\": {\"field\": \"seed\", \"values\": [1, 2, 3]},"
                        + " \"y\": {\"field\": \"guidance\", \"values\": [1, 4]}}");
        assertEquals(202, accepted.status(), accepted.json()::toString);
        JsonNode job = studio.finished(accepted.json().path("id").asText());
        assertEquals(6, job.path("images").size());
        JsonNode alone = studio.drawn(
                "{\"classes\": [\"star\"], \"steps\": 3, \"sampler\": \"ddim\", \"guidance\": 4, \"seed\": 2}");
        assertEquals(alone.path("images").get(0), job.path("images").get(4));
        Answer sheet = studio.get("/v1/generations/" + job.path("id").asText() + "/sheet.png");
        assertTrue(ImageIO.read(new ByteArrayInputStream(sheet.bytes())).getWidth() > 3 * 96);
        assertEquals(
                404,
                studio.get("/v1/generations/" + alone.path("id").asText() + "/sheet.png")
                        .status());
    }

    @Test
    void theGalleryIsTheFolder() throws IOException {
        JsonNode job = studio.drawn("{" + QUICK + ", \"seed\": 123}");
        String id = job.path("images").get(0).asText();
        JsonNode page = studio.get("/v1/images?class=star&most=200").json();
        Set<String> ids = new HashSet<>();
        page.path("images").forEach(image -> ids.add(image.path("id").asText()));
        assertTrue(ids.contains(id));
        assertEquals(
                0, studio.get("/v1/images?class=unicorn").json().path("total").asInt());
        assertEquals(1, studio.get("/v1/images?most=1").json().path("images").size());
        assertEquals(id, studio.get("/v1/images/" + id).json().path("id").asText());
        assertEquals(204, studio.delete("/v1/images/" + id + ".png").status());
        assertEquals(404, studio.get("/v1/images/" + id + ".png").status());
        assertEquals(
                id,
                studio.post("/v1/images/" + id + "/restore", "")
                        .json()
                        .path("id")
                        .asText());
        assertEquals(200, studio.get("/v1/images/" + id + ".png").status());
        assertEquals(
                new Gallery(folder.resolve("gallery")).size(),
                studio.get("/v1/images?most=0").json().path("total").asInt());
    }

    @Test
    void modelsClassesSamplersAndRunsAreTold() {
        JsonNode models = studio.get("/v1/models").json().path("models");
        assertEquals(2, models.size(), "the newest of the run, and its checkpoint by name");
        String id = models.get(0).path("id").asText();
        JsonNode model = studio.get("/v1/models/" + id + "?weights=model").json();
        assertEquals(10, model.path("classes").asInt());
        assertEquals(
                "star",
                studio.get("/v1/classes?q=sta").json().at("/classes/0/name").asText());
        assertEquals(10, studio.get("/v1/classes").json().path("classes").size());
        assertTrue(studio.get("/v1/samplers").json().path("samplers").size() >= 2);
        JsonNode runs = studio.get("/v1/runs").json().path("runs");
        assertEquals("finished", runs.get(0).path("state").asText());
        String runId = runs.get(0).path("id").asText();
        JsonNode metrics = studio.get("/v1/runs/" + runId + "/metrics").json();
        assertEquals(3, metrics.path("logs").size());
        JsonNode steps = studio.get("/v1/runs/" + runId + "/samples").json().path("steps");
        for (JsonNode step : steps)
            assertEquals(
                    200,
                    studio.get("/v1/runs/" + runId + "/samples/" + step + ".png")
                            .status());
        assertEquals(404, studio.get("/v1/runs/nothing/metrics").status());
        assertTrue(studio.get("/v1/about").json().path("software").asText().startsWith("dit4j"));
        String text = new String(studio.get("/metrics").bytes(), StandardCharsets.UTF_8);
        assertTrue(text.contains("# TYPE dit_queue_length gauge"), text);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{ | 400 | no JSON | ''",
                "[] | 422 | no JSON object | ''",
                "{\"stps\": 5} | 422 | did you mean steps | /stps",
                "{\"steps\": 0} | 422 | 1 to 1000 | /steps",
                "{\"steps\": 1001} | 422 | 1 to 1000 | /steps",
                "{\"steps\": \"ddim7x\"} | 422 | ddim7x | /steps",
                "{\"guidance\": \"NaN\"} | 422 | from 0 to 100 | /guidance",
                "{\"guidance\": NaN} | 400 | no JSON | ''",
                "{\"guidance\": 1e999} | 422 | from 0 to 100 | /guidance",
                "{\"count\": 65} | 422 | from 1 to 64 | /count",
                "{\"count\": 33, \"classes\": [1, 2]} | 422 | 66 pictures | /count",
                "{\"classes\": [10]} | 422 | outside 0 … 9 | /classes/0",
                "{\"classes\": [99999999999]} | 422 | outside | /classes/0",
                "{\"classes\": [0, \"s\"]} | 422 | may be any of | /classes/1",
                "{\"classes\": [\"strr\"]} | 422 | unknown class | /classes/0",
                "{\"classes\": [true]} | 422 | a number or a name | /classes/0",
                "{\"classes\": \"star\"} | 422 | a list | /classes",
                "{\"sampler\": \"ddmi\"} | 422 | did you mean ddim | /sampler",
                "{\"seed\": 9223372036854775808} | 422 | no whole number | /seed",
                "{\"seed\": 1.5} | 422 | no whole number | /seed",
                "{\"index\": -1} | 422 | no whole number | /index",
                "{\"eta\": 2} | 422 | from 0 to 1 | /eta",
                "{\"interval\": [5, 2]} | 422 | low <= high | /interval",
                "{\"model\": \"../../etc/passwd\"} | 422 | unknown model | /model",
                "{\"draft\": 1} | 422 | true or false | /draft",
                "{\"seed\": 1, \"seed\": 2} | 400 | no JSON | ''",
                "{} {} | 400 | no JSON | ''",
            })
    void whatCannotBeIsAProblemWithACauseAndItsPlace(String body, int status, String says, String pointer) {
        Answer answer = studio.post("/v1/generations", body);
        assertEquals(status, answer.status(), answer.json()::toString);
        assertTrue(answer.detail().contains(says), answer.detail());
        assertEquals(pointer, answer.json().path("pointer").asText());
    }

    @Test
    void otherBadRequestsAreProblemsToo() throws IOException {
        assertEquals(404, studio.get("/v1/generations/nothing").status());
        assertEquals(404, studio.get("/v1/images/" + "0".repeat(64) + ".png").status());
        assertEquals(404, studio.get("/nowhere").status());
        assertEquals(405, studio.send("PUT", "/v1/generations", new byte[0]).status());
        assertEquals(
                415,
                studio.send("POST", "/v1/generations", new byte[0], "Content-Type", "text/plain")
                        .status());
        assertEquals(
                413, studio.post("/v1/generations", " ".repeat((1 << 20) + 1)).status());
        assertEquals(400, studio.get("/v1/images?most=-1").status());
        assertEquals(400, studio.get("/v1/images?most=1000").status());
        Answer plain = studio.send("POST", "/v1/png-info", png(), "Content-Type", "image/png");
        assertEquals(422, plain.status());
        assertTrue(plain.detail().contains("no recipe"), plain.detail());
        assertEquals(
                422,
                studio.send("POST", "/v1/png-info", new byte[] {1, 2}, "Content-Type", "image/png")
                        .status());
        assertEquals(
                422,
                studio.post("/v1/grids", "{\"base\": {}, \"x\": {\"field\": \"colour\", \"values\": [1]}}")
                        .status());
    }

    private static byte[] png() throws IOException {
        return Images.encodePng(new BufferedImage(4, 4, BufferedImage.TYPE_INT_RGB), java.util.Map.of());
    }

    /** A request whose head is as it is given; the status of the answer. */
    private static int raw(TestStudio asked, String head) throws IOException {
        try (Socket socket = new Socket("127.0.0.1", asked.studio.port())) {
            socket.setSoTimeout(20_000);
            OutputStream out = socket.getOutputStream();
            out.write(head.getBytes(StandardCharsets.ISO_8859_1));
            out.flush();
            InputStream in = socket.getInputStream();
            String line = new String(in.readNBytes(12), StandardCharsets.ISO_8859_1);
            return line.isEmpty() ? 0 : Integer.parseInt(line.substring(9));
        }
    }

    @Test
    void noOtherPageAndNoOtherNameGetsThrough() throws IOException {
        String own = "Host: 127.0.0.1:" + studio.studio.port() + "\r\n", end = "Connection: close\r\n\r\n";
        for (var path : studio.description.path("paths").properties()) {
            String at = path.getKey().replaceAll("\\{[a-z]+}", "x");
            for (String method : List.of("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")) {
                String begin = method + " " + at + " HTTP/1.1\r\n";
                String length = method.startsWith("P") ? "Content-Length: 0\r\n" : "";
                assertEquals(421, raw(studio, begin + "Host: evil.example\r\n" + length + end), begin);
                assertEquals(421, raw(studio, begin + "Host: 127.0.0.1.evil.example\r\n" + length + end), begin);
                assertEquals(403, raw(studio, begin + own + "Origin: http://evil.example\r\n" + length + end), begin);
                assertEquals(403, raw(studio, begin + own + "Origin: null\r\n" + length + end), begin);
                assertEquals(403, raw(studio, begin + own + "Origin: http://127.0.0.1:1\r\n" + length + end), begin);
                if (at.startsWith("/v1/"))
                    assertEquals(
                            403, raw(studio, begin + own + "Sec-Fetch-Site: cross-site\r\n" + length + end), begin);
            }
            if (path.getValue().has("post"))
                assertEquals(
                        415,
                        raw(
                                studio,
                                "POST " + at + " HTTP/1.1\r\n" + own
                                        + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 2\r\n"
                                        + end + "{}"),
                        at);
        }
        assertEquals(400, raw(studio, "GET / HTTP/1.1\r\n" + end), "no Host at all");
        assertEquals(431, raw(studio, "GET / HTTP/1.1\r\n" + own + "X: " + "x".repeat(17 << 10) + "\r\n" + end));
        assertEquals(
                400,
                raw(
                        studio,
                        "POST /v1/generations HTTP/1.1\r\n" + own
                                + "X-HTTP-Method-Override: DELETE\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                                + end + "{}"));
        for (String path : List.of(
                "/..%2f..%2fetc%2fpasswd",
                "/v1/images/..%2f..%2fx.png", "/v1/runs/..%2f../samples/1", "//etc/passwd", "/%2e%2e/x"))
            assertTrue(List.of(400, 404).contains(raw(studio, "GET " + path + " HTTP/1.1\r\n" + own + end)), path);
    }

    @Test
    void withATokenNothingIsServedWithoutIt() throws IOException {
        Path file = Files.writeString(folder.resolve("token"), "0123456789abcdef0123456789abcdef\n");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
        StudioConfig plain = TestStudio.config(folder.resolve("gallery2"), 8, folder.resolve("results"));
        try (TestStudio closed = new TestStudio(withToken(plain, file, "127.0.0.1"))) {
            assertTrue(closed.studio.link().endsWith("/#token=0123456789abcdef0123456789abcdef"));
            for (var path : closed.description.path("paths").properties())
                for (var method : path.getValue().properties()) {
                    if (method.getKey().equals("parameters")
                            || method.getValue().has("security")) continue;
                    String at = path.getKey().replaceAll("\\{[a-z]+}", "x");
                    String name = method.getKey().toUpperCase();
                    for (String shown :
                            List.of("", "Bearer wrong", "Basic MDEyMzQ1", "Bearer 0123456789abcdef0123456789abcdee")) {
                        Answer answer = shown.isEmpty()
                                ? closed.send(name, at, new byte[0], "Content-Type", "application/json")
                                : closed.send(
                                        name,
                                        at,
                                        new byte[0],
                                        "Authorization",
                                        shown,
                                        "Content-Type",
                                        "application/json");
                        assertEquals(401, answer.status(), name + " " + at + " with " + shown);
                    }
                }
            assertEquals(
                    401, closed.post("/v1/session", "{\"token\": \"wrong\"}").status());
            assertEquals(
                    401, closed.get("/v1/models", "Cookie", "dit_session=abc").status());
            Answer session = closed.post("/v1/session", "{\"token\": \"0123456789abcdef0123456789abcdef\"}");
            String cookie = session.header("Set-Cookie");
            assertTrue(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), cookie);
            assertFalse(cookie.contains("0123456789abcdef0123456789abcdef"), "the token itself is in no cookie");
            assertEquals(
                    200,
                    closed.get("/v1/models", "Cookie", cookie.replaceFirst(";.*", ""))
                            .status());
            assertEquals(
                    200,
                    closed.get("/v1/models", "Authorization", "Bearer 0123456789abcdef0123456789abcdef")
                            .status());
            assertEquals(200, closed.get("/healthz").status());
        }
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
        assertSays("others may read it", withToken(plain, file, "127.0.0.1"));
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
        Files.writeString(file, "short");
        assertSays("128 bits", withToken(plain, file, "127.0.0.1"));
        assertSays("--token-file", withToken(plain, null, "0.0.0.0"));
    }

    private static void assertSays(String words, StudioConfig config) {
        var thrown = assertThrows(IllegalArgumentException.class, () -> Studio.start(config));
        assertTrue(thrown.getMessage().contains(words), thrown.getMessage());
    }

    private static StudioConfig withToken(StudioConfig config, Path file, String bind) {
        return new StudioConfig(
                config.paths(),
                config.open(),
                config.devices(),
                config.previewVae(),
                config.gallery(),
                bind,
                0,
                config.hosts(),
                java.util.Optional.ofNullable(file),
                config.maxQueue(),
                config.grace());
    }

    @Test
    void everyAnswerForbidsWhatAPageCouldBeTrickedInto() {
        for (String path : List.of("/", "/app.js", "/v1/models", "/nowhere")) {
            Answer answer = studio.get(path);
            String policy = answer.header("Content-Security-Policy");
            assertTrue(policy.startsWith("default-src 'none';") && !policy.contains("unsafe"), policy);
            assertEquals("no-referrer", answer.header("Referrer-Policy"));
            assertEquals("", answer.header("Access-Control-Allow-Origin"));
            assertEquals("", answer.header("Server"));
        }
    }

    @Test
    void theDescriptionAndTheRoutesAreTheSame() {
        Set<String> described = new HashSet<>();
        for (var path : studio.description.path("paths").properties())
            for (var method : path.getValue().properties())
                if (!method.getKey().equals("parameters"))
                    described.add(method.getKey().toUpperCase() + " " + path.getKey());
        Set<String> routed = studio.studio.routes();
        Page.FILES.forEach(file -> routed.remove("GET /" + file));
        assertEquals(described, routed);
        assertEquals("3.1.0", studio.get("/openapi.json").json().path("openapi").asText());
        Set<String> operations = new HashSet<>();
        studio.description.findValuesAsText("operationId").forEach(id -> assertTrue(operations.add(id), id));
        for (JsonNode reference : studio.description.findValues("$ref"))
            assertFalse(studio.description.at(reference.asText().substring(1)).isMissingNode(), reference.asText());
    }

    @Test
    void thePageIsSmall() throws IOException {
        Page page = new Page();
        assertTrue(page.gzippedBytes() <= 100_000, page.gzippedBytes() + " bytes over the wire");
        int lines = 0;
        for (String file : Page.FILES)
            lines += Files.readAllLines(Path.of("src/main/resources/web", file)).size();
        assertTrue(lines < 1800, lines + " lines");
    }

    @Test
    void aTakenPortAndAnUnusableGalleryAreSaid() throws IOException {
        StudioConfig config = TestStudio.config(folder.resolve("gallery3"), 8, folder.resolve("results"));
        StudioConfig taken = new StudioConfig(
                config.paths(),
                config.open(),
                config.devices(),
                config.previewVae(),
                config.gallery(),
                config.bind(),
                studio.studio.port(),
                config.hosts(),
                config.tokenFile(),
                8,
                config.grace());
        assertSays("is taken", taken);
        Path file = Files.writeString(folder.resolve("file"), "");
        assertSays("a file is there", TestStudio.config(file, 8, folder.resolve("results")));
    }

    @Test
    void whatWasAcceptedIsDoneByTheNextProcess() throws IOException {
        Path gallery = folder.resolve("gallery4");
        String running, waiting;
        StudioConfig config = TestStudio.config(gallery, 8, folder.resolve("results"));
        StudioConfig hasty = new StudioConfig(
                config.paths(),
                config.open(),
                config.devices(),
                config.previewVae(),
                gallery,
                config.bind(),
                0,
                config.hosts(),
                config.tokenFile(),
                8,
                java.time.Duration.ZERO);
        try (TestStudio first = new TestStudio(hasty)) {
            running = first.post("/v1/generations", "{\"steps\": 400, \"count\": 4, \"guidance\": 1}")
                    .json()
                    .path("id")
                    .asText();
            waiting = first.post("/v1/generations", "{" + QUICK + "}")
                    .json()
                    .path("id")
                    .asText();
            while (!first.get("/v1/generations/" + running)
                    .json()
                    .path("state")
                    .asText()
                    .equals("running")) TestStudio.pause(5);
        }
        try (TestStudio second = new TestStudio(config)) {
            assertEquals("done", second.finished(waiting).path("state").asText());
            JsonNode job = second.finished(running);
            assertEquals("done", job.path("state").asText());
            assertEquals(4, job.path("images").size());
        }
    }

    @Test
    void jobsLeaveNothingBehindInNativeMemory() {
        studio.drawn("{" + QUICK + "}");
        TestStudio.pause(300); // the drawer of previews
        long before = Pointer.totalCount();
        for (int i = 0; i < 3; i++) studio.drawn("{" + QUICK + ", \"seed\": " + i + "}");
        for (int i = 0; i < 100 && Pointer.totalCount() > before; i++) TestStudio.pause(20);
        assertTrue(
                Pointer.totalCount() <= before, before + " native objects before, " + Pointer.totalCount() + " after");
        assertNotEquals(0, before);
    }
}
