/** Work over a range of items, such as a data set: one file for a part of the range, and a folder of them that can be finished later. */
package org.dit4j.jobs;
