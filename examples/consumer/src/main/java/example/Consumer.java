package example;

import org.dit4j.model.DiTConfig;

/** Asks the installed library for the size of a model. */
public class Consumer {
    public static void main(String[] args) {
        DiTConfig config = DiTConfig.of("DiT-XL/2");
        System.out.printf("%,d parameters, %.2f Gflops, %d tokens%n", config.parameters(), config.gflops(), config.tokens());
    }
}
