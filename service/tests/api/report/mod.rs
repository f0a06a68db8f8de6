//! The training report as a page.

mod html;
