/**
 * The studio: one page and one API over HTTP, a queue of jobs before the device, and a folder of pictures behind it. Loaded by {@code dit
 * serve} only.
 */
package org.dit4j.web;
