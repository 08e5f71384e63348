package org.dit4j.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TimestepsTest {
    /** Digests of the published code's timesteps of 1000, as decimal numbers with commas between. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "250      | d7b0f48aae57b0da26bd5b24b757c7398375d94fd95f52f8fd20bae7557e182b",
                "128      | 1dafca1396222a38969689995e91defd804700ba84e52c1cf9bde51cc80d2f50",
                "64       | f84e81b1949095b8b68058fa5e59826bcead3a820e8f23f871c163e4b8b90353",
                "32       | 5b61a39ec8eff90322bf83eb8507ea363102e76fa4f033b4b92f96a3679dfc48",
                "16       | c6123978023f5006e4c5e88ebb4de9df108a65da914b03e99ddd94899bc948f4",
                "256      | 3d712fd43978f2498fe1de5ff3b1e59519441a0308c67e824f0cc17aa706bc77",
                "50       | 74cbaac3aa26dbda25980529f5a5d063105553d1397f1f899e54bcaa565af750",
                "ddim50   | 68c44a8db3e7d80efb1ac687d4cc279c1ee19b3e61d7a70a496e449370818196",
                "10,15,20 | 22c34c3129821d90d87ab3d95e4f0dc19950533248611ce60d1eb166078c7725"
            })
    void spacingsAreThePublishedOnes(String spacing, String digest) throws NoSuchAlgorithmException {
        String text = Arrays.stream(Timesteps.spaced(1000, spacing))
                .mapToObj(Integer::toString)
                .collect(Collectors.joining(","));
        byte[] actual = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.US_ASCII));
        assertEquals(digest, HexFormat.of().formatHex(actual));
    }

    @Test
    void halvesAreRoundedToEven() {
        int[] timesteps = Timesteps.spaced(1000, "667");
        assertArrayEquals(new int[] {0, 2, 3, 4, 6, 8, 9, 10}, Arrays.copyOf(timesteps, 8));
        int differences = 0;
        for (int i = 0; i < 667; i++) if (timesteps[i] != Math.round(i * 1.5)) differences++;
        assertEquals(166, differences);
    }

    @Test
    void everyNumberOfStepsVisitsSoManyFromTheFirstToTheLast() {
        for (int count = 2; count <= 1000; count++) {
            int[] timesteps = Timesteps.spaced(1000, Integer.toString(count));
            assertEquals(count, Arrays.stream(timesteps).distinct().count());
            assertEquals(0, timesteps[0]);
            assertEquals(999, timesteps[count - 1]);
        }
    }

    @Test
    void theFirstSectionsAreOneLongerWhereTheNumberOfSectionsDoesNotDivide() {
        assertArrayEquals(new int[] {0, 3, 4, 6, 7, 9}, Timesteps.spaced(10, "2,2,2"));
    }

    @Test
    void oneStepVisitsTheLastTimestepWhereTheNoiseIs() {
        assertArrayEquals(new int[] {999}, Timesteps.spaced(1000, "1"));
        assertArrayEquals(new int[] {0}, Timesteps.spaced(1, ""));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"0", "-5", "ten", "ddim", "ddimx", "10,,20", "10;20", "1.5", "99999999999", "ddim1", "ddim7x"})
    void aSpacingThatIsNoneIsRefusedWithWhatIsAllowed(String spacing) {
        String message = assertThrows(IllegalArgumentException.class, () -> Timesteps.spaced(1000, spacing))
                .getMessage();
        assertTrue(message.contains("\"" + spacing + "\"") && message.contains("\"ddim50\""), message);
    }

    @ParameterizedTest
    @ValueSource(strings = {"1001", "400,1,1", "ddim600"})
    void moreTimestepsThanThereAreAreRefused(String spacing) {
        String message = assertThrows(IllegalArgumentException.class, () -> Timesteps.spaced(1000, spacing))
                .getMessage();
        assertTrue(message.contains(spacing) && message.contains("1000"), message);
    }
}
