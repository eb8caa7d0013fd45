//! A picture's size, before and after scaling.

/// Pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    /// The size that `scale=trunc(min(W,iw)/2)*2:-2` makes of this picture, with `W` the wanted width: never larger
    /// than the camera's, both sides even.
    pub fn scaled_to(self, wanted_width: u32) -> Self {
        let width = wanted_width.min(self.width) / 2 * 2;
        let halves = 2.0 * f64::from(self.width.max(1));
        let height = (f64::from(width) * f64::from(self.height) / halves).round() as u32 * 2;
        Self { width, height }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_height_follows_the_aspect() {
        let scaled = |width, height| {
            let Size { width, height } = Size { width, height }.scaled_to(854);
            (width, height)
        };
        assert_eq!(scaled(1280, 720), (854, 480));
        assert_eq!(scaled(1920, 1080), (854, 480));
        assert_eq!(scaled(2592, 1944), (854, 640));
        assert_eq!(scaled(640, 360), (640, 360));
        assert_eq!(scaled(641, 481), (640, 480));
        assert_eq!(scaled(720, 1280), (720, 1280));
        assert_eq!(scaled(0, 0), (0, 0));
    }
}
