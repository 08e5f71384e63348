package org.dit4j.report;

import java.awt.Color;
import java.awt.FontMetrics;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.util.List;
import org.dit4j.io.Images;

/** Pictures side by side, with a column for each class and its name above it. */
public final class ClassGrid {
    private static final int PADDING = 2, CAPTION_HEIGHT = 20, VIEWABLE_PIXELS = 96;

    private ClassGrid() {}

    /**
     * Row by row.
     *
     * @param names one for each column; where a machine has no fonts, they are left out
     */
    public static BufferedImage captioned(List<BufferedImage> pictures, List<String> names) {
        BufferedImage grid = plain(pictures, names.size());
        if (!Fonts.available()) return grid;
        BufferedImage result =
                new BufferedImage(grid.getWidth(), grid.getHeight() + CAPTION_HEIGHT, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = result.createGraphics();
        graphics.setColor(Color.WHITE);
        graphics.fillRect(0, 0, result.getWidth(), CAPTION_HEIGHT);
        graphics.drawImage(grid, 0, CAPTION_HEIGHT, null);
        graphics.setColor(Color.BLACK);
        graphics.setFont(Fonts.CAPTION);
        graphics.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
        FontMetrics metrics = graphics.getFontMetrics();
        int column = pictures.get(0).getWidth() + PADDING;
        for (int i = 0; i < names.size(); i++) {
            String name = fitted(names.get(i), column - PADDING, metrics);
            int x = PADDING + i * column + (column - PADDING - metrics.stringWidth(name)) / 2;
            graphics.drawString(name, x, (CAPTION_HEIGHT + metrics.getAscent() - metrics.getDescent()) / 2);
        }
        graphics.dispose();
        return result;
    }

    /**
     * Pictures of equal width one above the other, each with a title; where a machine has no fonts, they are left out.
     *
     * @param titles one for each
     */
    public static BufferedImage titled(List<BufferedImage> grids, List<String> titles) {
        int bar = Fonts.available() ? CAPTION_HEIGHT + 2 * PADDING : PADDING,
                width = grids.get(0).getWidth(),
                height = 0;
        for (BufferedImage grid : grids) height += bar + grid.getHeight();
        BufferedImage result = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = result.createGraphics();
        graphics.setColor(Color.WHITE);
        graphics.fillRect(0, 0, width, height);
        graphics.setColor(Color.BLACK);
        int y = 0;
        for (int i = 0; i < grids.size(); i++) {
            if (Fonts.available()) {
                graphics.setFont(Fonts.CAPTION);
                graphics.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
                FontMetrics metrics = graphics.getFontMetrics();
                graphics.drawString(
                        fitted(titles.get(i), width - 4 * PADDING, metrics),
                        2 * PADDING,
                        y + (bar + metrics.getAscent() - metrics.getDescent()) / 2);
            }
            y += bar;
            graphics.drawImage(grids.get(i), 0, y, null);
            y += grids.get(i).getHeight();
        }
        graphics.dispose();
        return result;
    }

    /** Row by row, without captions. */
    public static BufferedImage plain(List<BufferedImage> pictures, int columns) {
        return Images.grid(pictures, columns, PADDING);
    }

    private static String fitted(String name, int width, FontMetrics metrics) {
        if (metrics.stringWidth(name) <= width) return name;
        int length = name.length();
        while (length > 0 && metrics.stringWidth(name.substring(0, length) + "…") > width) length--;
        return name.substring(0, length) + "…";
    }

    /** The smallest factor that makes small pictures {@value #VIEWABLE_PIXELS} pixels on the shorter side; 1 for larger ones. */
    public static int viewableScale(int height, int width) {
        int side = Math.min(height, width);
        return (VIEWABLE_PIXELS + side - 1) / side;
    }

    /** Small pictures of one size enlarged until they can be seen. */
    public static List<BufferedImage> viewable(List<BufferedImage> pictures) {
        BufferedImage first = pictures.get(0);
        return enlarged(pictures, viewableScale(first.getHeight(), first.getWidth()));
    }

    /** Pictures {@code scale} times as high and as wide. */
    public static List<BufferedImage> enlarged(List<BufferedImage> pictures, int scale) {
        return pictures.stream().map(picture -> Images.enlarge(picture, scale)).toList();
    }
}
