package org.dit4j.web;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserContext;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import com.microsoft.playwright.options.ColorScheme;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/**
 * Pictures of every view, with a model that somebody trained: {@code -Ddit.studio.results=results -Ddit.studio.screenshots=FOLDER}. To be
 * looked at, and the good ones kept in {@code docs/studio}.
 */
@EnabledIfSystemProperty(named = "dit.studio.screenshots", matches = ".+")
class StudioScreenshots {
    private static final List<String> VIEWS =
            List.of("create", "gallery", "compare", "grids", "training", "queue", "about");

    @TempDir
    private Path folder;

    @Test
    void ofEveryViewAtThreeWidthsDarkAndLight() throws IOException {
        Path out = Path.of(System.getProperty("dit.studio.screenshots"));
        Path results = Path.of(System.getProperty("dit.studio.results"));
        try (TestStudio studio = new TestStudio(folder, results);
                Playwright playwright = Playwright.create(
                        new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
                Browser browser = playwright
                        .chromium()
                        .launch(new BrowserType.LaunchOptions()
                                .setExecutablePath(Path.of(System.getProperty("dit.chromium", "/usr/bin/chromium")))
                                .setArgs(List.of("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")))) {
            studio.awaitReady();
            List<String> ids = new ArrayList<>();
            for (String request : List.of(
                    "{\"classes\": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], \"steps\": 12, \"guidance\": 2, \"seed\": 3}",
                    "{\"classes\": [\"star\"], \"steps\": 12, \"guidance\": 1, \"seed\": 7}",
                    "{\"classes\": [\"star\"], \"steps\": 12, \"guidance\": 2, \"seed\": 7}",
                    "{\"classes\": [\"star\"], \"steps\": 12, \"guidance\": 6, \"seed\": 7}"))
                studio.drawn(request).path("images").forEach(id -> ids.add(id.asText()));
            studio.finished(studio.post(
                            "/v1/grids",
                            "{\"base\": {\"classes\": [\"heart\"], \"steps\": 8}, \"x\": {\"field\": \"seed\", \"values\": [1, 2, 3, 4]},"
                                    + " \"y\": {\"field\": \"guidance\", \"values\": [1, 2, 4]}}")
                    .json()
                    .path("id")
                    .asText());
            String compared = ids.subList(10, 13).toString().replaceAll("(\\w+)", "\"$1\"");
            for (ColorScheme scheme : List.of(ColorScheme.LIGHT, ColorScheme.DARK))
                for (int width : List.of(360, 768, 1440)) {
                    BrowserContext context = browser.newContext(new Browser.NewContextOptions()
                            .setViewportSize(width, width == 360 ? 740 : 900)
                            .setColorScheme(scheme));
                    Page page = context.newPage();
                    page.addInitScript("localStorage.setItem('dit.compare', JSON.stringify(" + compared + "))");
                    page.addInitScript(
                            "localStorage.setItem('dit.create', JSON.stringify({classes: [{label: 3, name: 'star'}], count: 4, seed: '42', steps: '10', guidance: 2, locked: true}))");
                    for (String view : VIEWS) {
                        page.navigate(studio.uri("/#/" + view).toString());
                        page.waitForSelector("main[data-view=" + view + "]");
                        if (view.equals("create")) {
                            page.getByText("Draw", new Page.GetByTextOptions().setExact(true))
                                    .click();
                            page.getByText("done in").waitFor();
                            page.waitForTimeout(700);
                        }
                        if (view.equals("queue")) {
                            studio.post("/v1/generations", "{\"classes\": [3], \"count\": 16, \"steps\": 1000}");
                            studio.post(
                                    "/v1/generations",
                                    "{\"classes\": [1], \"count\": 4, \"steps\": 50}",
                                    "Dit-Client",
                                    "other");
                            page.waitForTimeout(1500);
                        }
                        page.waitForTimeout(500);
                        page.screenshot(new Page.ScreenshotOptions()
                                .setFullPage(!view.equals("gallery"))
                                .setPath(out.resolve(view + "-" + width + "-"
                                        + scheme.toString().toLowerCase() + ".png")));
                        if (view.equals("queue"))
                            for (var job : studio.get("/v1/generations").json().path("generations"))
                                if (List.of("queued", "running")
                                        .contains(job.path("state").asText()))
                                    studio.delete(
                                            "/v1/generations/" + job.path("id").asText());
                    }
                    context.close();
                }
        }
    }
}
