package org.dit4j.web;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.Error;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.dialect.Dialects;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.dit4j.checkpoint.OpenOptions;

/** A real studio on a free port, and a client that checks every answer against the description of the API. */
final class TestStudio implements AutoCloseable {
    final Studio studio;
    final JsonNode description;
    private final HttpClient client =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final SchemaRegistry registry = SchemaRegistry.withDialect(Dialects.getDraft202012());
    private final Map<String, Schema> schemas = new ConcurrentHashMap<>();

    TestStudio(Path gallery, Path... paths) throws IOException {
        this(config(gallery, 8, paths));
    }

    TestStudio(StudioConfig config) throws IOException {
        studio = Studio.start(config);
        description = new Page().description();
    }

    static StudioConfig config(Path gallery, int maxQueue, Path... paths) {
        return new StudioConfig(
                List.of(paths),
                OpenOptions.DEFAULT,
                List.of("cpu"),
                Optional.empty(),
                gallery,
                "127.0.0.1",
                0,
                List.of(),
                Optional.empty(),
                maxQueue,
                Duration.ofSeconds(20));
    }

    /** An answer, with its body once as bytes and once as JSON (missing where it is none). */
    record Answer(int status, HttpResponse<byte[]> response, byte[] bytes, JsonNode json) {
        String header(String name) {
            return response.headers().firstValue(name).orElse("");
        }

        String detail() {
            return json.path("detail").asText();
        }
    }

    URI uri(String path) {
        return URI.create("http://127.0.0.1:" + studio.port() + path);
    }

    Answer get(String path, String... headers) {
        return send("GET", path, null, headers);
    }

    Answer delete(String path) {
        return send("DELETE", path, null);
    }

    Answer post(String path, String json, String... headers) {
        return send(
                "POST",
                path,
                json.getBytes(StandardCharsets.UTF_8),
                Stream.concat(Stream.of("Content-Type", "application/json"), Stream.of(headers))
                        .toArray(String[]::new));
    }

    Answer send(String method, String path, byte[] body, String... headers) {
        HttpRequest.Builder request = HttpRequest.newBuilder(uri(path))
                .timeout(Duration.ofSeconds(60))
                .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(body));
        if (headers.length > 0) request.headers(headers);
        try {
            HttpResponse<byte[]> response = client.send(request.build(), BodyHandlers.ofByteArray());
            boolean isJson =
                    response.headers().firstValue("Content-Type").orElse("").contains("json");
            JsonNode json = isJson ? Json.parse(response.body()) : Json.object().path("none");
            check(method, path.replaceFirst("\\?.*", ""), response, json);
            return new Answer(response.statusCode(), response, response.body(), json);
        } catch (IOException | InterruptedException e) {
            throw new AssertionError(method + " " + path, e);
        }
    }

    /** Every answer is one that the description promises. */
    private void check(String method, String path, HttpResponse<byte[]> response, JsonNode json) {
        String type = response.headers().firstValue("Content-Type").orElse("").replaceFirst(";.*", "");
        int status = response.statusCode();
        assertTrue(status < 500 || status == 503, () -> method + " " + path + ": " + status + " " + json);
        assertEquals(
                "nosniff",
                response.headers().firstValue("X-Content-Type-Options").orElse(""),
                path);
        if (status >= 400) {
            assertEquals("application/problem+json", type, path + " " + status);
            valid("/components/schemas/Problem", json);
            return;
        }
        JsonNode operation = operation(method, path);
        if (operation == null) return; // a file of the page
        JsonNode answer = resolved(operation.path("responses").path(Integer.toString(status)));
        assertTrue(
                !answer.isMissingNode() || status == 304,
                () -> method + " " + path + " answers " + status + ", which is not described");
        if (response.body().length == 0) return;
        JsonNode content = answer.path("content").path(type);
        assertTrue(
                !content.isMissingNode(), () -> method + " " + path + " answers " + type + ", which is not described");
        if (content.has("schema")) valid(content.get("schema"), json);
    }

    JsonNode operation(String method, String path) {
        for (var entry : description.path("paths").properties()) {
            String pattern = entry.getKey().replaceAll("\\{[a-z]+}", "[^/]+");
            // a path without places is not one with
            if (path.equals(entry.getKey())) return entry.getValue().path(method.toLowerCase());
            if (path.matches(pattern) && description.path("paths").path(path).isMissingNode())
                return entry.getValue().path(method.toLowerCase());
        }
        return null;
    }

    private JsonNode resolved(JsonNode node) {
        return node.has("$ref") ? description.at(node.get("$ref").asText().substring(1)) : node;
    }

    private void valid(String pointer, JsonNode json) {
        valid(Json.object().put("$ref", "#" + pointer), json);
    }

    private void valid(JsonNode schema, JsonNode json) {
        Schema compiled = schemas.computeIfAbsent(schema.toString(), key -> {
            ObjectNode root = Json.object();
            root.set("components", description.path("components"));
            root.putArray("allOf").add(schema);
            return registry.getSchema(root);
        });
        List<Error> errors = compiled.validate(json);
        if (!errors.isEmpty()) fail(errors + " in " + json);
    }

    /** Waits for a job to be over. */
    JsonNode finished(String id) {
        for (long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(300); System.nanoTime() < until; pause(15)) {
            JsonNode job = get("/v1/generations/" + id).json();
            if (!List.of("queued", "running").contains(job.path("state").asText())) return job;
        }
        return fail(
                "job " + id + " is not over: " + get("/v1/generations/" + id).json());
    }

    /** Asks for pictures and waits for them. */
    JsonNode drawn(String json) {
        Answer accepted = post("/v1/generations", json);
        assertEquals(202, accepted.status(), accepted.json()::toString);
        assertNotNull(accepted.header("Location"));
        JsonNode job = finished(accepted.json().path("id").asText());
        assertEquals("done", job.path("state").asText(), job::toString);
        return job;
    }

    static void pause(long millis) {
        try {
            TimeUnit.MILLISECONDS.sleep(millis);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    void awaitReady() {
        for (int i = 0; i < 600 && get("/readyz").status() != 200; i++) pause(20);
        assertEquals(200, get("/readyz").status());
    }

    /** Events of a job until it is over, or the server says no more; name and data by turns. */
    List<String[]> events(String path, String... headers) throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(uri(path)).timeout(Duration.ofSeconds(60));
        if (headers.length > 0) request.headers(headers);
        HttpResponse<Stream<String>> response = client.send(request.build(), BodyHandlers.ofLines());
        assertEquals(200, response.statusCode());
        List<String[]> events = new ArrayList<>();
        String[] event = new String[3];
        for (String line : (Iterable<String>) response.body()::iterator) {
            if (line.startsWith("id: ")) event[0] = line.substring(4);
            if (line.startsWith("event: ")) event[1] = line.substring(7);
            if (line.startsWith("data: ")) event[2] = line.substring(6);
            if (line.isEmpty() && event[1] != null) {
                events.add(event);
                event = new String[3];
            }
        }
        return events;
    }

    HttpClient client() {
        return client;
    }

    @Override
    public void close() {
        studio.close();
    }
}
