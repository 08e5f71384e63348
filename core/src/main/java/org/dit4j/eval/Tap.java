package org.dit4j.eval;

/** Where a feature network is tapped. */
public enum Tap {
    /** What Fréchet distance, KID, precision and recall are of: 2048 of Inception's last pooling, the class token of a ViT. */
    FEATURES("features"),
    /** What sFID is of (Nash et al. 2021): the first 7 channels of Inception's 17 × 17 grid, 2023 in all. */
    SPATIAL("spatial"),
    /** What the Inception Score is of: 1008 logits without their bias. */
    LOGITS("logits");

    private final String key;

    Tap(String key) {
        this.key = key;
    }

    /** Its name in files. */
    public String key() {
        return key;
    }
}
