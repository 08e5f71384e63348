package org.dit4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Names that could be numbers, or each other. */
class ClassNamesChoiceTest {
    /** Folders 0 to 11 as a file system sorts them: class 2 is called 10. */
    private static final ClassNames NUMBERS =
            new ClassNames(List.of("0", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9"), 12);

    @Test
    void aNumberThatIsAnotherClassesNameIsRefusedWithBothSpellings() {
        assertEquals(0, NUMBERS.label("0"), "both are the same class");
        String message = assertThrows(IllegalArgumentException.class, () -> NUMBERS.label("2"))
                .getMessage();
        assertTrue(message.contains("name:2") && message.contains("id:2"), message);
        assertEquals(4, NUMBERS.label("name:2"));
        assertEquals(2, NUMBERS.label("id:2"));
        assertEquals(9, NUMBERS.label(ClassChoice.of(9)));
        assertEquals(-1, NUMBERS.label(ClassChoice.none()));
    }

    @Test
    void aNumberBeyondTheLabelsThatIsANameIsThatName() {
        ClassNames years = new ClassNames(List.of("1998", "2004"), 2);
        assertEquals(1, years.label("2004"));
        assertEquals(1, years.label("1"), "a number that nothing is called");
        assertThrows(IllegalArgumentException.class, () -> years.label("7"));
    }

    @Test
    void theExactNameCountsMoreThanUpperAndLowerCase() {
        ClassNames cats = new ClassNames(List.of("Cat", "cat", "catfish", "a,b"), 4);
        assertEquals(0, cats.label("Cat"));
        assertEquals(1, cats.label("cat"));
        assertEquals(2, cats.label("CATF"));
        assertThrows(IllegalArgumentException.class, () -> cats.label("CAT"));
        assertEquals(3, cats.label("a,b"));
        assertTrue(cats.isName("a,b"));
        assertFalse(cats.isName("Cat,cat"));
    }
}
