"""What is made of images, videos and sounds, in processes of their own with narrow limits."""
